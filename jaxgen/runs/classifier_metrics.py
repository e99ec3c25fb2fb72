"""Metrics of a run's samples by the classifier in the package for its data."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.analysis.feature_metrics import Sets, feature_metrics
from jaxgen.analysis.image_features import features_of_data, features_of_parts
from jaxgen.errors import InputError
from jaxgen.metrics import class_metrics
from jaxgen.metrics.extractors import DEFAULT_EXTRACTORS, classifier_of, load_extractor
from jaxgen.runs.loading import Run, single
from jaxgen.runs.sample_evaluation import SAMPLES, check_samples, reference_of
from jaxgen.training.seeds import measure_seeds
from jaxgen.typing import KeyArray


@checked
def classifier_metrics(run: Run, key: KeyArray, *, count: int = SAMPLES) -> dict[str, np.ndarray]:
    """Compare samples with the test split by features and classes of the classifier in the package for the data.

    The classifier is `digits_v1` for `digits`, `mnist_v1` for `mnist` and `mnist_small`, and `fashion_mnist_v1` for
    `fashion_mnist` (`jaxgen.metrics.extractors`).

    Args:
        run: run on one of these data sets.
        key: PRNG key of the samples.
        count: number of samples of each seed.

    Returns:
        Of each seed, NaN for those that have diverged: `modes` (of 10), `high_quality` and `mode_kl_all` of the logits,
        as `jaxgen.metrics.class_metrics` defines them, and the Fréchet distance of the features by its protocol, e.g.
        `frechet_distance[fashion_mnist_v1, none, n=10000/10000, split=fashion_mnist:test]`.

    Raises:
        InputError: if the package has no classifier for the data, the model does not sample images, the test split
            cannot be loaded, or there are fewer than two samples.
    """
    check_samples(run)
    size = run.example["image"].shape[1:3]
    name = classifier_of(run.config.data, size)
    if name is None:
        raise InputError(
            f"data must be {', '.join(DEFAULT_EXTRACTORS)}, for which there are classifiers in the package, in their "
            f"own size, got '{run.config.data}' of {size[0]}x{size[1]} pixels"
        )
    extractor, data = load_extractor(name), run.config.source.load("test")
    real, reference = features_of_data(extractor, data), reference_of(run.config, "test", data)
    sample_key, metric_key = jax.random.split(key)

    def of_seed(number: int) -> dict[str, float]:
        parts = (part[0] for part in single(run, number).sample_parts(sample_key, count))
        fake = features_of_parts(extractor, parts, count=count)
        (distance,) = feature_metrics(metric_key, ["fid"], extractor, Sets(real, fake, reference))
        classes = {metric: float(value) for metric, value in class_metrics(jnp.asarray(fake.logits)).items()}
        return {**classes, str(distance.protocol): distance.value}

    return measure_seeds(of_seed, run.finite, run.config.seeds or 1)
