"""What samples are worth, by numbers that no player minimizes: modes of a mixture, classes that a classifier reads.

All are metrics of one run: `modes` that are covered, the share of samples of `high_quality`, and `mode_kl`, the
divergence of the modes' shares from the true ones in nats.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen.analysis.digit_classifier import DigitClassifier, train_digit_classifier
from jaxgen.data import STACKED, Stream, load
from jaxgen.data.stacked import CHANNELS, CLASSES
from jaxgen.data.synthetic import Synthetic
from jaxgen.divergences import frechet_distance
from jaxgen.errors import InputError
from jaxgen.metrics import label_coverage, mode_coverage
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs.config import RunConfig
from jaxgen.runs.loading import Run
from jaxgen.typing import Array, Float, KeyArray, Shaped

POINTS = 2500
"""Points that are drawn to count the modes they cover."""

IMAGES = 10_000
"""Pictures that are drawn to be compared with those of a test split."""

STACKED_IMAGES = 26_000
"""Stacked digits that are read to count the classes they cover, as many as in Srivastava et al. 2017."""

PART = 2000
"""Pictures that are held at once."""

SURE = 0.9
"""Probability that the reader gives to a class whose picture counts as one of high quality."""

CLASSIFIER_STEPS = {"digits": 1000}
"""Turns after which the reader reads 99 % of the test digits right; 2,000 for the larger data sets."""


def mode_metrics(samples: Float[Array, "n dim"], mixture: Synthetic) -> dict[str, Array]:
    """Count the modes of a mixture that samples cover.

    Args:
        samples: of one run.
        mixture: what they should be drawn from.

    Returns:
        `modes`, `high_quality` and `mode_kl`. Nothing if the distribution has no modes.

    Example:
        >>> from jaxgen.data import SYNTHETIC
        >>> ring = SYNTHETIC["ring"]()
        >>> {name: round(float(value), 4) for name, value in mode_metrics(ring.centers[:4], ring).items()}
        {'modes': 4.0, 'high_quality': 1.0, 'mode_kl': 0.6931}
    """
    centers, scales, weights = mixture.centers, mixture.scales, mixture.weights
    if centers is None or scales is None or weights is None:
        return {}
    found = mode_coverage(samples, centers, scale=scales)
    kl = jnp.sum(jax.scipy.special.rel_entr(found.counts / found.counts.sum(), weights))
    return {"modes": found.covered, "high_quality": found.high_quality, "mode_kl": kl}


def stacked_metrics(
    config: RunConfig[Any], parts: Iterable[Shaped[Array, "runs n height width 3"]]
) -> dict[str, Float[Array, " runs"]]:
    """Count the classes of stacked digits that are read in samples.

    Args:
        config: of the run, whose data the reader is trained with.
        parts: of the samples, each with an axis of runs; together they may be more than memory holds.

    Returns:
        `modes` that are read at all, of 1000; `high_quality`, where the reader is sure; `mode_kl`, from uniform shares.
    """
    classifier = digit_classifier_of(STACKED[config.data], config.data_dir, config.image_size)
    readings = [[classifier.predict(of_run) for of_run in part] for part in parts]
    found = []
    for of_run in zip(*readings, strict=True):
        coverage = label_coverage(jnp.concatenate([part.labels for part in of_run]), CLASSES**CHANNELS)
        sure = jnp.concatenate([part.confidence for part in of_run]) >= SURE
        found.append({"modes": coverage.covered, "high_quality": jnp.mean(sure), "mode_kl": coverage.kl})
    return _stacked(found)


def class_metrics(
    run: Run, key: KeyArray, *, count: int = IMAGES, classifier_steps: int | None = None
) -> dict[str, Array]:
    """Compare samples with the test split of their data, as a classifier of their ten classes sees both.

    Args:
        run: trained with grey pictures of ten classes, such as Fashion-MNIST.
        key: of the samples.
        count: how many of them.
        classifier_steps: turns that the classifier is trained for; enough where nothing is given.

    Returns:
        `modes`, of 10, `high_quality` and `mode_kl`, and the `frechet_distance` of the ten logits of samples from those
        of the test split: that of Heusel et al. 2017, arXiv:1706.08500, with another network, in squared logits. Each
        with an axis of runs if there are several seeds.
    """
    config = run.config
    classifier = digit_classifier_of(config.data, config.data_dir, config.image_size, classifier_steps)
    test = load(config.data, split="test", data_dir=config.data_dir, image_size=config.image_size)
    if isinstance(test, Stream):
        raise InputError(f"the test split of {config.data} is read from disk as it is used, and is not read here")
    real = _moments(classifier.logits(preprocess(test)))
    parts = [[classifier.logits(of_run) for of_run in part] for part in sampled_parts(run, key, count)]
    found = []
    for of_run in zip(*parts, strict=True):
        logits = jnp.concatenate(of_run)
        coverage = label_coverage(
            logits.argmax(axis=-1), CLASSES, confidence=jax.nn.softmax(logits).max(axis=-1), threshold=SURE
        )
        distance = frechet_distance(*real, *_moments(logits))
        found.append(
            {
                "modes": coverage.covered,
                "high_quality": coverage.high_quality,
                "mode_kl": coverage.kl,
                "frechet_distance": distance,
            }
        )
    several = run.config.seeds is not None
    return _stacked(found) if several else found[0]


def sampled_parts(run: Run, key: KeyArray, count: int) -> Iterator[Shaped[Array, "runs n *event"]]:
    """Samples of a run, part by part: all at once would be much memory.

    Args:
        run: of one seed or of several.
        key: of the samples.
        count: how many of each seed.

    Yields:
        The next samples, with an axis of runs in any case.
    """
    several = run.config.seeds is not None
    for first in range(0, count, PART):
        samples = run.sample(jax.random.fold_in(key, first), min(PART, count - first))
        yield samples if several else samples[None]


def _stacked(found: list[dict[str, Array]]) -> dict[str, Array]:
    return jax.tree.map(lambda *values: jnp.stack(values), *found)


def _moments(logits: Shaped[Array, "n 10"]) -> tuple[Float[Array, " 10"], Float[Array, "10 10"]]:
    return logits.mean(axis=0), jnp.cov(logits, rowvar=False)


@cache
def digit_classifier_of(
    data: str, data_dir: str | None, image_size: int | None, steps: int | None = None
) -> DigitClassifier:
    """The reader of single pictures, trained once a process.

    Args:
        data: name of a data set of grey pictures of ten classes.
        data_dir: where data sets are kept.
        image_size: side in pixels to which the pictures are scaled and cropped.
        steps: turns that it is trained for; enough where nothing is given.

    Returns:
        The reader.

    Raises:
        InputError: if the data are not such pictures, or do not fit in memory.
    """
    images = load(data, data_dir=data_dir, image_size=image_size)
    if isinstance(images, Stream):
        raise InputError(f"{data} is read from disk as it is used, and a reader is trained with data in memory")
    return train_digit_classifier(jax.random.key(0), images, steps=steps or CLASSIFIER_STEPS.get(data, 2000))
