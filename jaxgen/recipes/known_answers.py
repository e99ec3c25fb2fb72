"""Known answers: what metrics of features say of sets of real images that are changed in a known way.

Half of the images is the reference. The other half stands for samples: unchanged, blurred, with noise, without some of
the classes, or in part replaced by copies of the reference. A distance should grow, and precision or recall fall, with
the strength of a change that harms it; copies of the reference lower every distance and raise every share, and only the
metrics of memorization tell them from good samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from jaxgen import plot
from jaxgen.analysis.feature_metrics import Sets, feature_metrics
from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import Extracted, Extractor, default_extractor, load_extractor
from jaxgen.metrics.protocol import Protocol, metric_of
from jaxgen.recipes.recipe import MetricResult, Outcome, Recipe, Request
from jaxgen.typing import Int, UInt8

Images = UInt8[np.ndarray, "n height width 1"]

METRICS = ("fid", "kid", "precision_recall", "density_coverage", "vendi_score", "memorization")
"""Metrics that are measured."""


class HalvedData(NamedTuple):
    """Images in two halves, and images that belong to neither.

    Attributes:
        reference: the half that the other is compared with.
        images: the other half.
        labels: its labels.
        held_out: images of the test split, for the metrics of memorization.
    """

    reference: Images
    images: Images
    labels: Int[np.ndarray, " n"]
    held_out: Images


Change = Callable[[np.random.Generator, HalvedData, float], Images]
"""`(generator, data, strength) -> images`, as many as in the second half; unchanged for the strength 0."""


def blurred(generator: np.random.Generator, data: HalvedData, strength: float) -> Images:
    """Blur images by a Gaussian whose standard deviation is the strength, in pixels."""
    from scipy.ndimage import gaussian_filter

    levels = gaussian_filter(data.images.astype(np.float32), (0, strength, strength, 0))
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def with_noise(generator: np.random.Generator, data: HalvedData, strength: float) -> Images:
    """Add Gaussian noise whose standard deviation is the strength, in units of the range of grey levels."""
    noise = 255 * strength * generator.standard_normal(data.images.shape, np.float32)
    return np.clip(np.round(data.images + noise), 0, 255).astype(np.uint8)


def without_classes(generator: np.random.Generator, data: HalvedData, strength: float) -> Images:
    """Replace the images of as many classes as the strength, the last ones, by further ones of the other classes."""
    classes = int(data.labels.max()) + 1
    kept = np.flatnonzero(data.labels < classes - round(strength))
    lost = len(data.images) - len(kept)
    return data.images[np.concatenate([kept, generator.choice(kept, lost)])]


def with_copies(generator: np.random.Generator, data: HalvedData, strength: float) -> Images:
    """Replace a share of the images, the strength, by images of the reference."""
    count = round(strength * len(data.images))
    copies = data.reference[generator.permutation(len(data.reference))[:count]]
    return np.concatenate([data.images[count:], copies])


CHANGES: Mapping[str, tuple[Change, tuple[float, ...]]] = {
    "blur, pixels": (blurred, (0.0, 0.5, 1.0, 1.5, 2.0)),
    "noise, share of the range": (with_noise, (0.0, 0.1, 0.2, 0.3, 0.4)),
    "missing classes, of 10": (without_classes, (0.0, 2.0, 4.0, 6.0, 8.0)),
    "copies, share": (with_copies, (0.0, 0.25, 0.5, 0.75, 1.0)),
}
"""Name of a change, with the unit of its strength -> the change, and its strengths."""


@dataclass(frozen=True)
class KnownAnswers:
    """A recipe that measures changed sets of real images.

    Attributes:
        data: name of the data set.
        seeds: number of ways to halve it.
        quick_examples: number of images of a quick run.
    """

    data: str = "mnist_small"
    seeds: int = 3
    quick_examples: int = 600

    def __call__(self, request: Request) -> Outcome:
        """Measure every change at every strength, for several halvings of the data."""
        seeds = request.seeds or (1 if request.quick else self.seeds)
        extractor = load_extractor(default_extractor(self.data))
        values: dict[str, dict[str, list[float]]] = {}
        for seed in range(seeds):
            generator = np.random.default_rng(seed)
            data = self._halved(generator, request)
            real, held_out = extractor(data.reference), extractor(data.held_out)
            for name, (change, strengths) in CHANGES.items():
                request.notify(f"seed {seed + 1} of {seeds}: {name}")
                for strength in strengths:
                    fake = extractor(change(generator, data, strength))
                    row = values.setdefault(f"{name}: {strength:g}", {})
                    for metric, value in _measured(self.data, extractor, seed, real, fake, held_out).items():
                        row.setdefault(metric, []).append(value)
        rows = {name: {metric: MetricResult(tuple(v)) for metric, v in row.items()} for name, row in values.items()}
        return Outcome(rows, figures={"known_answers": _figure(values)})

    def _halved(self, generator: np.random.Generator, request: Request) -> HalvedData:
        train, test = (load(self.data, split=split, data_dir=request.data_dir) for split in ("train", "test"))
        if not isinstance(train, dict) or not isinstance(test, dict):
            raise InputError(f"the data {self.data} must fit into memory, and they are streamed from disk")
        order = generator.permutation(len(train["image"]))[: self.quick_examples if request.quick else None]
        first, second = np.array_split(order, 2)
        return HalvedData(train["image"][first], train["image"][second], train["label"][second], test["image"])


def _measured(
    data: str, extractor: Extractor, seed: int, real: Extracted, fake: Extracted, held_out: Extracted
) -> dict[str, float]:
    """The metrics by their protocols."""
    sets = Sets(real, fake, f"half of {data}:train", held_out, f"{data}:test")
    found = feature_metrics(jax.random.key(seed), METRICS, extractor, sets)
    return {str(measured.protocol): measured.value for measured in found}


def _figure(values: Mapping[str, Mapping[str, list[float]]]) -> plot.Drawing:
    """One pair of axes for each metric, with a curve for each change over its strength, relative to the largest."""
    metrics = dict.fromkeys(metric for row in values.values() for metric in row)
    curves = {
        metric_of(metric): {
            name: np.array([values[f"{name}: {strength:g}"][metric] for strength in strengths]).T
            for name, (_, strengths) in CHANGES.items()
        }
        for metric in metrics
    }
    relative = {name: np.linspace(0, 1, len(strengths)) for name, (_, strengths) in CHANGES.items()}
    lines = {metric_of(metric): Protocol.parse(metric).lines() for metric in metrics}
    return plot.training_curves(relative, curves, titles=lines, xlabel="strength, relative to the largest")


KNOWN_ANSWERS = Recipe(
    description="metrics of features of real images that are blurred, noisy, without classes, or copied",
    reference=(
        "directions: Heusel et al. 2017, arXiv:1706.08500, figure 3; Kynkäänniemi et al. 2019, arXiv:1904.06991; "
        "Meehan et al. 2020, arXiv:2004.05675"
    ),
    duration="8 minutes on two cores of an EPYC; --quick: 1 minute",
    run=KnownAnswers(),
    protocol=(
        "The 6,000 training images of mnist_small in two halves, three times; the second half is changed and compared "
        "with the first by the features of mnist_v1, and held-out images are the 1,000 of the test split."
    ),
)
"""The recipe."""
