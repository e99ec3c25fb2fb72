"""Metrics of samples by the features of an extractor while a model is trained, each with its protocol."""

from collections.abc import Mapping, Sequence
from functools import partial

import jax
import numpy as np

from jaxgen.analysis.feature_metrics import Sets, feature_metrics
from jaxgen.analysis.image_features import features_of_data, features_of_parts
from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.callbacks.seed_axis import has_seed_axis, with_seed_axis
from jaxgen.data import Stream
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.metrics.extractors import Extractor
from jaxgen.training.chunk import Chunk
from jaxgen.training.compiler import jit_for_few_calls
from jaxgen.training.seeds import extract_seed
from jaxgen.typing import Array, Batch, KeyArray

SAMPLED_AT_ONCE = 500
"""Number of samples that are in memory at once."""


class FeatureMetrics:
    """A callback that compares samples with the training examples at every k-th step and at the last one.

    The names in the log are `samples/` and the protocol, e.g. `samples/frechet_distance[digits_v1, none, n=1437/1000,
    split=train]`. The latents are the same each time, so that two values differ only by the training between them, and
    a run that was killed and resumed has the same values as one that was not. A seed whose samples are not finite has
    no value.

    Args:
        model: model of images with a `sample`.
        data: training examples.
        metrics: names of metrics, of `jaxgen.analysis.feature_metrics.FEATURE_METRICS`.
        extractor: extractor of the features.
        count: number of samples.
        every: number of steps between two measurements.
        last: last step of the run, at which samples are measured in any case.
        seed: seed of the run.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.metrics.extractors import load_extractor
        >>> from jaxgen.models import vae
        >>> from jaxgen.training.seeds import seed_keys
        >>> from jaxgen.training.states import initial_state
        >>> digits = load("digits")
        >>> model, extractor = vae.build(vae.Config(hidden=(8,)), digits), load_extractor("digits_v1")
        >>> state = initial_state(model, seed_keys(0, 1), digits)
        >>> metrics = FeatureMetrics(model, digits, ["fid"], extractor, count=200, every=10, last=10, seed=0)
        >>> print(*metrics(Chunk(10, state, {"vae/loss": np.zeros((1, 10))}, 0.1, {})))
        samples/frechet_distance[digits_v1, none, n=1437/200, split=train]
    """

    def __init__(
        self,
        model: Model,
        data: Batch | Stream,
        metrics: Sequence[str],
        extractor: Extractor,
        *,
        count: int,
        every: int,
        last: int,
        seed: int,
    ) -> None:
        assert model.sample is not None
        self.metrics, self.extractor, self.count, self.every, self.last = metrics, extractor, count, every, last
        self.sample_key, self.metric_key = jax.random.split(callback_key(seed, "feature_metrics"))
        self.real = features_of_data(extractor, data)
        self.sample = jit_for_few_calls(partial(_sampled, model, min(count, SAMPLED_AT_ONCE)))

    def __call__(self, chunk: Chunk) -> Mapping[str, np.ndarray] | None:
        """Measure samples if it is due."""
        if not chunk.reaches(self.every) and chunk.step != self.last:
            return None
        given = with_seed_axis(chunk)
        seeds = len(next(iter(given.metrics.values())))
        found: dict[str, np.ndarray] = {}
        for number in range(seeds):
            if number in chunk.diverged:
                continue
            try:
                measured = self.measure(extract_seed(given.state, number))
            except InputError:  # Samples that are not finite: all else is checked before the training, which goes on.
                continue
            for name, value in measured.items():
                found.setdefault(name, np.full((seeds, 1), np.nan))[number] = value
        return found if has_seed_axis(chunk) else {name: value[0] for name, value in found.items()}

    def measure(self, state: State) -> dict[str, float]:
        """Return the metrics of one seed's state by their names in the log."""
        fake = features_of_parts(
            self.extractor,
            (self._part(state, first) for first in range(0, self.count, SAMPLED_AT_ONCE)),
            count=self.count,
        )
        measured = feature_metrics(self.metric_key, self.metrics, self.extractor, Sets(self.real, fake), split="train")
        return {f"{PREFIX}{each.protocol}": each.value for each in measured}

    def _part(self, state: State, first: int) -> Array:
        key = jax.random.fold_in(self.sample_key, first)
        return self.sample(key, state)[: self.count - first]


def _sampled(model: Model, n: int, key: KeyArray, state: State) -> Array:
    assert model.sample is not None
    return model.sample(key, state, n)
