"""Metrics of samples while a model is trained: distances and modes, which no player minimizes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.analysis.stacked_digits import DigitPrediction, predict_stacked_digits, stacked_logits
from jaxgen.callbacks.keys import callback_key
from jaxgen.callbacks.seed_axis import has_seed_axis, with_seed_axis
from jaxgen.data import STACKED, SYNTHETIC, DataSource, Stream, random_examples
from jaxgen.data.large_arrays import sample_parts
from jaxgen.data.stacked import CHANNELS, CLASSES
from jaxgen.divergences import sliced_wasserstein
from jaxgen.game import Model, State
from jaxgen.metrics import label_metrics, mixture_metrics
from jaxgen.metrics.extractors import Extractor, classifier_of, load_extractor
from jaxgen.models.preprocessing import preprocess
from jaxgen.training.chunk import Chunk
from jaxgen.training.compiler import jit_for_few_calls
from jaxgen.training.seeds import over_seeds
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray, Metrics, Shaped

PREFIX = "samples/"
"""Prefix of the names of these metrics in the log."""

MODE_METRICS = ("modes", "high_quality", "mode_kl_all")
"""Metrics of samples that mixtures and stacked digits have."""

COMPARED = 1000
"""Samples, and examples of the data, between which the distance is computed."""

POINTS = 2500
"""Samples of which the covered modes of a mixture are counted."""

CLASSIFIED = 10_000
"""Stacked digits that are classified during training: of 1,000 classes, they can cover all but one or two."""


class SampleMetrics:
    """A callback that returns metrics of samples at every k-th step and at the last one, for every seed.

    The metrics are::

        samples/sliced_wasserstein    distance between 1000 samples and as many training examples; for images, in pixel
                                      values from 0 to 1
        samples/modes, samples/high_quality, samples/mode_kl_all    of 2500 samples of a mixture (`mixture_metrics`); of
                                      10,000 samples of stacked digits, classified by `digits_v1` or `mnist_v1`
                                      (`label_metrics`)

    Latents, examples and projections are the same each time, so that two values differ only by the training between
    them, and a run that was killed and resumed has the same values as one that was not.

    Args:
        model: model with a `sample`.
        source: data set of the run.
        data: training split.
        every: number of steps between two measurements.
        last: last step of the run, at which samples are measured in any case.
        seed: seed of the run.

    Example:
        >>> from jaxgen.models import gan
        >>> from jaxgen.training.states import initial_state
        >>> from jaxgen.training.seeds import seed_keys
        >>> from jaxgen.data import load
        >>> ring = load("ring", examples=100)
        >>> model = gan.build(gan.Config(hidden=(8,)), ring)
        >>> metrics = SampleMetrics(model, DataSource("ring"), ring, every=10, last=10, seed=0)
        >>> state = initial_state(model, seed_keys(0, 1), ring)
        >>> print(*metrics(Chunk(10, state, {"generator/loss": np.zeros((1, 10))}, 0.1, {})))
        samples/high_quality samples/mode_kl_all samples/modes samples/sliced_wasserstein
    """

    def __init__(
        self, model: Model, source: DataSource, data: Batch | Stream, *, every: int, last: int, seed: int
    ) -> None:
        assert model.sample is not None
        self.every, self.last = every, last
        keys = _four_keys(seed)
        self.sample_key, self.classified_key, self.projections, examples_key = keys
        examples = random_examples(examples_key, data, COMPARED)
        self.examples = preprocess(examples)
        self.classifier = stacked_classifier(source.name, examples)
        count = POINTS if mode_metrics(source.name, None) is not None else len(self.examples)
        self.sample = jit_for_few_calls(partial(_sample_all, partial(_sample_and_measure, model, source.name, count)))

    def __call__(self, chunk: Chunk) -> Mapping[str, np.ndarray] | None:
        """Measure samples if it is due."""
        if not chunk.reaches(self.every) and chunk.step != self.last:
            return None
        metrics = self.measure(with_seed_axis(chunk).state)
        values = {PREFIX + name: np.asarray(value)[:, None] for name, value in metrics.items()}
        return values if has_seed_axis(chunk) else {name: value[0] for name, value in values.items()}

    def measure(self, state: State) -> Metrics:
        """Return the metrics of a state, `[seeds]` each."""
        samples, metrics = self.sample(self.sample_key, state)
        # One seed after the other, and not in one program with the network: compiled once, it serves all runs.
        distance = jit_for_few_calls(_distance)
        distances = [distance(self.projections, samples, number, self.examples) for number in range(len(samples))]
        if self.classifier is not None:
            metrics |= stacked_metrics(self.classifier, self._parts(state))
        return {**metrics, "sliced_wasserstein": np.stack(distances)}

    def _parts(self, state: State) -> Iterator[Array]:
        for part in sample_parts(self.classified_key, CLASSIFIED, len(self.examples)):
            yield self.sample(part.key, state)[0]


def mode_metrics(data: str, samples: Float[Array, "n dim"] | None) -> dict[str, Array] | None:
    """Compute `mixture_metrics` of samples for the mixture of that name.

    Args:
        data: name of a data set.
        samples: samples of one seed; None only to find out whether the data have known modes.

    Returns:
        The metrics; None where the data are not a mixture with known modes.

    Example:
        >>> mode_metrics("digits", None) is None, mode_metrics("ring", None)
        (True, {})
    """
    if data not in SYNTHETIC:
        return None
    mixture = SYNTHETIC[data]()
    if mixture.centers is None or mixture.scales is None or mixture.weights is None:
        return None
    return {} if samples is None else mixture_metrics(samples, mixture.centers, mixture.scales, mixture.weights)


def has_modes(data: str, example: Batch) -> bool:
    """Return whether samples have `MODE_METRICS`.

    Args:
        data: name of a data set.
        example: batch that shows the shapes of the data.

    Returns:
        Whether the data are a mixture with known modes, or stacked digits for which there is a classifier.

    Example:
        >>> has_modes("ring", {"point": np.zeros((1, 2))}), has_modes("digits", {"image": np.zeros((1, 8, 8, 1))})
        (True, False)
    """
    return mode_metrics(data, None) is not None or stacked_classifier(data, example) is not None


def stacked_classifier(data: str, example: Batch) -> Extractor | None:
    """Return the classifier of the single digits of stacked digits.

    Args:
        data: name of a data set.
        example: batch that shows the shapes of the data.

    Returns:
        The extractor `digits_v1` or `mnist_v1`; None for other data, and for images of another size than those on which
        it was trained, whose modes are not counted.

    Example:
        >>> stacked_classifier("stacked_digits", {"image": np.zeros((1, 8, 8, 3))}).name
        'digits_v1'
    """
    if data not in STACKED:
        return None
    name = classifier_of(STACKED[data], example["image"].shape[1:3])
    return None if name is None else load_extractor(name)


def stacked_metrics(
    extractor: Extractor, parts: Iterable[Shaped[AnyArray, "seeds n height width 3"]]
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """Compute `label_metrics` of stacked digits, of which there are 1,000 modes.

    Args:
        extractor: classifier of the single digits.
        parts: samples with an axis of seeds, part by part; together they may be more than fits into memory.

    Returns:
        `modes`, `high_quality` and `mode_kl_all` of each seed; NaN for a seed whose samples are not finite.
    """
    predictions = [[_prediction(extractor, of_seed) for of_seed in part] for part in map(np.asarray, parts)]
    found = [_label_metrics(of_seed) for of_seed in zip(*predictions, strict=True)]
    return {name: np.array([metrics[name] for metrics in found]) for name in MODE_METRICS}


def _prediction(extractor: Extractor, images: Shaped[np.ndarray, "n height width 3"]) -> DigitPrediction | None:
    """The prediction of samples of one seed; None where they are not finite, as those of a diverged seed."""
    if not np.isfinite(images).all():
        return None
    return predict_stacked_digits(stacked_logits(extractor, images))


def _label_metrics(parts: Sequence[DigitPrediction | None]) -> dict[str, float]:
    """The metrics of the predictions of all parts of one seed."""
    finite = [part for part in parts if part is not None]
    if len(finite) < len(parts):
        return dict.fromkeys(MODE_METRICS, np.nan)
    labels, confidence = (jnp.concatenate(arrays) for arrays in zip(*finite, strict=True))
    return {name: float(value) for name, value in label_metrics(labels, confidence, CLASSES**CHANNELS).items()}


@jax.jit  # With the unpacking, which would otherwise be a program of its own.
def _four_keys(seed: int) -> tuple[KeyArray, ...]:
    return tuple(jax.random.split(callback_key(seed, "sample_metrics"), 4))


def _distance(key: KeyArray, samples: Array, number: int, examples: Array) -> Array:
    """The distance between the samples of one seed and as many examples."""
    return sliced_wasserstein(key, samples[number, : len(examples)], examples)


def _sample_and_measure(model: Model, data: str, count: int, key: KeyArray, state: State) -> tuple[Array, Metrics]:
    """Samples of one seed, and what is known of their modes."""
    assert model.sample is not None
    samples = model.sample(key, state, count)
    return samples, mode_metrics(data, samples) or {}


def _sample_all(of_seed: Any, key: KeyArray, states: State) -> tuple[Array, Metrics]:
    return over_seeds(partial(of_seed, key))(states)
