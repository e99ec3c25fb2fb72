"""Metrics of samples by the features of an extractor while a model is trained, each with its protocol."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import numpy as np

from jaxgen.analysis.feature_metrics import FEATURE_METRICS, Sets, feature_metrics, protocol_of
from jaxgen.analysis.image_features import features_of_data, features_of_parts
from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.callbacks.seed_axis import has_seed_axis, with_seed_axis
from jaxgen.data import Stream, example
from jaxgen.data.large_arrays import part_size, sample_parts
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.metrics.extractors import Extracted, Extractor
from jaxgen.training.chunk import Chunk
from jaxgen.training.compiler import jit_for_few_calls
from jaxgen.training.seeds import extract_seed, measure_seeds
from jaxgen.typing import Array, Batch, KeyArray

SAMPLED_AT_ONCE = 500
"""Number of samples that are in memory at once."""


class FeatureMetrics:
    """A callback that compares samples with the training examples at every k-th step and at the last one.

    The names in the log are `samples/` and the protocol, e.g. `samples/frechet_distance[digits_v1, none, n=1437/1000,
    split=digits:train]`. The latents are the same each time, so that two values differ only by the training between
    them, and a run that was killed and resumed has the same values as one that was not.

    Args:
        model: model of images with a `sample`.
        data: training examples.
        metrics: names of metrics, of `jaxgen.analysis.feature_metrics.FEATURE_METRICS`.
        extractor: extractor of the features.
        reference: what the training examples are, e.g. `mnist:train`.
        count: number of samples.
        every: number of steps between two measurements.
        last: last step of the run, at which samples are measured in any case.
        seed: seed of the run.
        notify: called with a notice when the features of the training examples are not cached, which takes long.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.metrics.extractors import load_extractor
        >>> from jaxgen.models import vae
        >>> from jaxgen.training.seeds import seed_keys
        >>> from jaxgen.training.states import initial_state
        >>> digits = load("digits")
        >>> model, extractor = vae.build(vae.Config(hidden=(8,)), digits), load_extractor("digits_v1")
        >>> state = initial_state(model, seed_keys(0, 1), digits)
        >>> options = {"reference": "digits:train", "count": 200, "every": 10, "last": 10, "seed": 0}
        >>> options["notify"] = lambda line: None
        >>> metrics = FeatureMetrics(model, digits, ["fid"], extractor, **options)
        >>> print(*metrics(Chunk(10, state, {"vae/loss": np.zeros((1, 10))}, 0.1, {})))
        samples/frechet_distance[digits_v1, none, n=1437/200, split=digits:train]
    """

    def __init__(
        self,
        model: Model,
        data: Batch | Stream,
        metrics: Sequence[str],
        extractor: Extractor,
        *,
        reference: str,
        count: int,
        every: int,
        last: int,
        seed: int,
        notify: Callable[[str], None],
    ) -> None:
        assert model.sample is not None

        def progress(done: int, images: int) -> None:
            if done == 0:
                notify(f"features of {reference} by {extractor.name}: {images} images")

        self.metrics, self.extractor, self.count, self.every, self.last = metrics, extractor, count, every, last
        self.sample_key, self.metric_key = jax.random.split(callback_key(seed, "feature_metrics"))
        self.real, self.reference = features_of_data(extractor, data, progress=progress), reference
        shown = example(data)
        classes = int(shown["label"].max()) + 1 if "label" in shown else 1
        self.size = part_size(count, classes, largest=SAMPLED_AT_ONCE)
        self.sample = jit_for_few_calls(partial(_sampled, model, self.size))

    def __call__(self, chunk: Chunk) -> Mapping[str, np.ndarray] | None:
        """Measure samples if it is due."""
        if not chunk.reaches(self.every) and chunk.step != self.last:
            return None
        given = with_seed_axis(chunk)
        seeds = len(next(iter(given.metrics.values())))
        finite = [number for number in range(seeds) if number not in chunk.diverged]
        found = measure_seeds(lambda number: self.measure(extract_seed(given.state, number)), finite, seeds)
        return {name: values[:, np.newaxis] if has_seed_axis(chunk) else values for name, values in found.items()}

    def measure(self, state: State) -> dict[str, float]:
        """Return the metrics of one seed's state by their names in the log; NaN for those that cannot be had.

        Samples that are not finite, or all equal, must not end a training, which may leave them behind.
        """
        try:
            fake = self._features(state)
        except InputError:  # Samples that are not finite.
            fake = Extracted(*(np.zeros((self.count, 0)) for _ in Extracted._fields))
        sets = Sets(self.real, fake, self.reference)
        found: dict[str, float] = {}
        for name in self.metrics:
            values = dict.fromkeys(FEATURE_METRICS[name].numbers, math.nan)
            with contextlib.suppress(InputError, ValueError):
                if fake.features.size:
                    measured = feature_metrics(self.metric_key, [name], self.extractor, sets)
                    values = dict(zip(values, (each.value for each in measured), strict=True))
            for number, value in values.items():
                found[f"{PREFIX}{protocol_of(name, number, self.extractor, sets)}"] = value
        return found

    def _features(self, state: State) -> Extracted:
        # One program for all parts: samples that the last one has beyond its number are dropped.
        parts = (
            self.sample(part.key, state)[: part.size] for part in sample_parts(self.sample_key, self.count, self.size)
        )
        return features_of_parts(self.extractor, parts, count=self.count)


def _sampled(model: Model, n: int, key: KeyArray, state: State) -> Array:
    assert model.sample is not None
    return model.sample(key, state, n)
