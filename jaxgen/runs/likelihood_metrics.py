"""Likelihoods and posteriors of a run on the test split of its data, for models with an encoder."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_key
from jaxgen.batch_checks import check_like
from jaxgen.data import Stream, count_examples
from jaxgen.data.large_arrays import split_batches
from jaxgen.errors import InputError, check_known
from jaxgen.game import LatentDensities, State
from jaxgen.metrics import active_units, importance_weighted_bound, mutual_information, rate_distortion
from jaxgen.metrics.protocol import Protocol, choice
from jaxgen.runs.config import RunConfig
from jaxgen.runs.evaluation import load_test_split, summarize_run
from jaxgen.runs.loading import Run
from jaxgen.training.seeds import extract_seed, measure_seeds
from jaxgen.typing import Array, Batch, KeyArray

LIKELIHOOD_METRICS = ("importance_weighted_bound", "active_units", "rate", "distortion", "mutual_information")
"""Names of the metrics."""

DRAWS = 5000
"""Default number of draws of the importance-weighted bound, as in Burda et al. 2016."""

THRESHOLD = 0.01
"""Variance of the mean of a latent over the data above which it is active, as in Burda et al. 2016."""

BATCH = 100
"""Examples whose bounds are computed at once."""


def likelihood_metrics(
    run: Run,
    key: KeyArray,
    *,
    k: int = DRAWS,
    names: Sequence[str] = LIKELIHOOD_METRICS,
    data: Batch | Stream | None = None,
) -> dict[str, np.ndarray]:
    """Compute metrics of the densities of a run on the test split of its data.

    Images of a model with `binarize` are binarized by the key, once for all metrics. Densities of points are those of
    standardized points, as in training.

    Args:
        run: run of a model with `latent_densities`.
        key: PRNG key of the binarization and of the draws, the same for all seeds.
        k: number of draws of the importance-weighted bound; rate and distortion need one.
        names: names of the metrics, of `LIKELIHOOD_METRICS`.
        data: test split of the run's data; it is loaded where it is None.

    Returns:
        Metric name -> the mean over the examples in nats per example, or the number of active units, or the mutual
        information of all examples in nats: `[seeds]`, NaN for seeds that have diverged; `[1]` for a single run.

    Raises:
        InputError: if the model has no such densities, a name or k is wrong, or the data do not fit the run.
    """
    check_key(key)
    check_integers(k=k)
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    for name in names:
        check_known("metric", name, LIKELIHOOD_METRICS)
    check_densities(run)
    data = load_test_split(run.config, run.example) if data is None else data
    if not isinstance(data, Stream):
        check_like(run.example, data)
    chosen = tuple(name for name in LIKELIHOOD_METRICS if name in names)
    return measure_seeds(partial(_of_seed, run, key, k, chosen, data), run.finite, run.config.seeds or 1)


def check_densities(run: Run) -> None:
    """Raise an InputError if the model of a run has no densities of which likelihoods are computed."""
    if run.model.latent_densities is None:
        raise InputError(f"the model '{run.family}' has no densities p(x|z) and q(z|x), which likelihoods need")


def evaluate_densities(run: Run, key: KeyArray, names: Sequence[str], *, k: int = DRAWS) -> dict[str, Any]:
    """Compute metrics of the densities of a run, each with its protocol, over seeds.

    Args:
        run: run of a model with `latent_densities`.
        key: PRNG key, as for `likelihood_metrics`.
        names: names of the metrics, of `LIKELIHOOD_METRICS`.
        k: number of draws of the importance-weighted bound.

    Returns:
        Name and protocol, as a text -> value; for a run of several seeds what `summarize` returns for their values.

    Raises:
        InputError: as `likelihood_metrics` does.
    """
    data = load_test_split(run.config, run.example)
    found = likelihood_metrics(run, key, k=k, names=names, data=data)
    examples = count_examples(data)
    described = {with_protocol(name, run.config, k=k, examples=examples): values for name, values in found.items()}
    return summarize_run(run, described)


def with_protocol(name: str, config: RunConfig[Any], *, k: int, examples: int) -> str:
    """Return the name of a metric with its protocol.

    Args:
        name: name of the metric, of `LIKELIHOOD_METRICS`.
        config: config of the run.
        k: number of draws of the importance-weighted bound; rate and distortion have one, the others none.
        examples: number of examples of the test split.

    Returns:
        The text of the protocol: the likelihood, as nats of densities and of probabilities do not compare, draws,
        number of examples, data, and whether pixels are binarized.

    Example:
        >>> from jaxgen.models import vae
        >>> config = RunConfig(vae.Config(binarize=True), data="mnist")
        >>> with_protocol("importance_weighted_bound", config, k=5000, examples=10_000)
        'importance_weighted_bound[bernoulli, k=5000, n=10000, split=mnist:test, pixels drawn anew]'
    """
    model = config.model_config
    likelihood = [model.likelihood] if hasattr(model, "likelihood") else []
    draws = {"importance_weighted_bound": k, "rate": 1, "distortion": 1}.get(name)
    size = "" if config.image_size is None else f"@{config.image_size}"
    choices = [
        *likelihood,
        *([] if draws is None else [f"k={draws}"]),
        f"n={examples}",
        f"split={choice(Path(config.data).name)}:test{size}",
        f"pixels {'drawn anew' if getattr(model, 'binarize', False) else 'as they are'}",
        *([f"threshold={THRESHOLD}"] if name == "active_units" else []),
    ]
    return str(Protocol(name, tuple(choices)))


def _of_seed(
    run: Run, key: KeyArray, k: int, names: tuple[str, ...], data: Batch | Stream, number: int
) -> dict[str, float]:
    """The metrics of the seed of that number."""
    state = extract_seed(run.state, number)
    example_key, set_key = jax.random.split(key)
    parts: list[dict[str, Array]] = []
    for part_number, batch in enumerate(_batches(data)):
        part_key = jax.random.fold_in(example_key, part_number)
        parts.append(_of_batch(run.model.latent_densities, k, names, part_key, state, batch))
    joined = {name: np.concatenate([np.asarray(part[name]) for part in parts]) for name in parts[0]}
    found = {name: float(np.mean(values, dtype=np.float64)) for name, values in joined.items() if name in names}
    if "active_units" in names:
        found["active_units"] = float(active_units(jnp.asarray(joined["mean"]), threshold=THRESHOLD))
    if "mutual_information" in names:
        found["mutual_information"] = float(_mutual_information(set_key, joined["mean"], joined["log_var"]))
    return {name: found[name] for name in names}


_mutual_information = jax.jit(mutual_information)


@partial(jax.jit, static_argnums=(0, 1, 2))
def _of_batch(
    densities: Any, k: int, names: tuple[str, ...], key: KeyArray, state: State, batch: Batch
) -> dict[str, Array]:
    """The posteriors of a batch, and its metrics of single examples."""
    image_key, bound_key, rate_key = jax.random.split(key, 3)
    of_batch: LatentDensities = densities(image_key, state, batch)
    found = {"mean": of_batch.mean, "log_var": of_batch.log_var}
    if "importance_weighted_bound" in names:
        found["importance_weighted_bound"] = importance_weighted_bound(bound_key, *of_batch, k=k)
    if {"rate", "distortion"} & set(names):
        found |= rate_distortion(rate_key, *of_batch)._asdict()
    return found


def _batches(data: Batch | Stream) -> Iterator[Batch]:
    return data.in_order(BATCH) if isinstance(data, Stream) else split_batches(dict(data), BATCH)
