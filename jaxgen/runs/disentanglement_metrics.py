"""Disentanglement of a run on the images of shapes, whose factors are known."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.data import first_examples, shape_factors
from jaxgen.errors import InputError
from jaxgen.metrics import (
    boosted_trees,
    dci,
    factor_vae_score,
    mutual_information_gap,
    separated_attribute_predictability,
)
from jaxgen.metrics.disentanglement import BINS
from jaxgen.metrics.protocol import Protocol
from jaxgen.runs.evaluation import load_test_split, summarize_run
from jaxgen.runs.loading import Run
from jaxgen.training.seeds import measure_seeds
from jaxgen.typing import Int, KeyArray

DISENTANGLEMENT_METRICS = (
    "mig",
    "sap",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
    "factor_vae_score",
)
"""Names of the metrics."""

DATA = "shapes"
"""Name of the data set whose factors are known."""

TESTED = 3
"""Every third example is one on which predictors of factors are tested; they are fitted with the others. The published
numbers of examples, 10,000 and 5,000, have the same ratio."""


@checked
def disentanglement_metrics(run: Run, key: KeyArray, *, predictor: Callable[[], Any] = boosted_trees) -> dict[str, Any]:
    """Compute metrics of the latents of the test split, for a run that was trained on the data set `shapes`.

    The latents are those of `run.encode`, of a VAE the means of the posteriors. All factors count as discrete: if the
    latents are the factors themselves, all metrics are 1 but `sap`, which is 0.34.

    Args:
        run: run of a model with an encoder.
        key: PRNG key of the choice of the examples that predictors are tested on, and of the batches of
            `factor_vae_score`; the same for all seeds.
        predictor: predictor of `jaxgen.metrics.dci`; the published one takes about a minute for each seed.

    Returns:
        Metric and protocol, as a text -> value; for a run of several seeds what `summarize` returns for their values.

    Raises:
        InputError: if the run was trained on other data, its model has no encoder, or it has fewer than two latents.
    """
    if run.config.data != DATA:
        raise InputError(
            f"disentanglement is measured on data with known factors: the run must be trained on '{DATA}', got "
            f"'{run.config.data}'"
        )
    factors = shape_factors("test")
    latents = np.asarray(run.encode(first_examples(load_test_split(run.config, run.example), len(factors))))
    of_seeds = latents[np.newaxis] if run.config.seeds is None else latents
    found = measure_seeds(
        lambda number: _of_latents(key, of_seeds[number], factors, predictor), run.finite, len(of_seeds)
    )
    return summarize_run(run, {_protocol(name, len(factors), predictor): values for name, values in found.items()})


def _protocol(name: str, examples: int, predictor: Callable[[], Any]) -> str:
    """The name of a metric with its protocol."""
    choices = [f"n={examples}", f"split={DATA}:test"]
    if name == "mig":
        choices.append(f"bins={BINS}")
    elif name != "factor_vae_score":
        choices.append(f"tested on one of {TESTED}")
    if name.startswith("dci"):
        choices.append(f"by {getattr(predictor, '__name__', type(predictor).__name__)}")
    return str(Protocol(name, tuple(choices)))


def _of_latents(
    key: KeyArray, latents: np.ndarray, factors: Int[np.ndarray, "n factors"], predictor: Callable[[], Any]
) -> dict[str, float]:
    """The metrics of one seed."""
    order_key, vote_key = jax.random.split(key)
    order = np.asarray(jax.random.permutation(order_key, len(factors)))
    tested = np.arange(len(order)) % TESTED == 0
    fitted_and_tested = [array[order[part]] for part in (~tested, tested) for array in (latents, factors)]
    of_dci = dci(*fitted_and_tested, predictor=predictor)
    return {
        "mig": mutual_information_gap(latents, factors).score,
        "sap": separated_attribute_predictability(*fitted_and_tested).score,
        "dci_disentanglement": of_dci.disentanglement,
        "dci_completeness": of_dci.completeness,
        "dci_informativeness": of_dci.informativeness,
        "factor_vae_score": factor_vae_score(vote_key, latents, factors).score,
    }
