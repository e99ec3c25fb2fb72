"""Metrics of conditional models: accuracy of a classifier, and distances within classes."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers
from jaxgen._signatures import checked
from jaxgen.errors import InputError
from jaxgen.metrics.modes import check_labels
from jaxgen.typing import AnyArray, Array, Float, Int


class ClassifierAccuracy(NamedTuple):
    """Accuracy of a classifier.

    Attributes:
        accuracy: share of the examples whose label is among the most probable classes, in [0, 1], [].
        of_classes: the same among the examples of each class, NaN for a class without examples, [classes].
    """

    accuracy: Float[Array, ""]
    of_classes: Float[Array, " classes"]


class IntraClass(NamedTuple):
    """Distance between the real and the generated examples of each class.

    Attributes:
        mean: mean over the classes.
        of_classes: distance of each class, by label in ascending order.
    """

    mean: float
    of_classes: dict[int, float]


@checked
def classifier_accuracy_score(
    logits: Float[Array, "n classes"], labels: Int[Array, " n"], *, top: int = 1
) -> ClassifierAccuracy:
    """Compute the accuracy of a classifier, in all and of each class.

    What it measures depends on what the classifier was trained on:

    - trained on samples of a conditional model, with the labels that they were generated for, and applied to real
      examples: the classification accuracy score of Ravuri and Vinyals 2019, called GAN-train by Shmelkov et al. 2018.
      It falls both if samples are not realistic and if they are not diverse.
    - trained on real examples and applied to samples: GAN-test. It does not fall if samples are not diverse.

    Args:
        logits: logits, or probabilities, of the classes of each example, [n, classes].
        labels: class of each example, in [0, classes), [n].
        top: number of the most probable classes among which the label must be; of equally probable classes, those with
            smaller numbers come first.

    Returns:
        The accuracies.

    Raises:
        InputError: if shapes do not match, labels are outside the range, or top is not in [1, classes].

    Reference:
        Ravuri and Vinyals 2019, arXiv:1905.10887, section 3; Shmelkov et al. 2018, arXiv:1807.09499, section 3.

    Example:
        >>> logits = jnp.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.5, 0.0]])
        >>> score = classifier_accuracy_score(logits, jnp.array([0, 0, 1, 1]))
        >>> float(score.accuracy), score.of_classes.tolist()
        (0.75, [1.0, 0.5])
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    classes = logits.shape[1]
    check_labels(labels, classes)
    check_integers(top=top)
    if not 1 <= top <= classes:
        raise InputError(f"top must be in [1, {classes}], the number of classes, got {top}")
    own = jnp.take_along_axis(logits, labels[:, None], axis=1)
    # With NaN, which no comparison finds greater, every class counts as more probable.
    before = ~(logits < own) & ~((logits == own) & (jnp.arange(classes) >= labels[:, None]))
    correct = (jnp.sum(before, axis=1) < top).astype(jnp.float32)
    counts = jnp.bincount(labels, length=classes)
    of_classes = jax.ops.segment_sum(correct, labels, classes) / counts
    return ClassifierAccuracy(jnp.mean(correct), of_classes)


@checked
def intra_class(
    distance: Callable[[AnyArray, AnyArray], Float[AnyArray, ""] | float],
    real: Float[AnyArray, " n *event"],
    real_labels: Int[AnyArray, " n"],
    fake: Float[AnyArray, " m *event"],
    fake_labels: Int[AnyArray, " m"],
) -> IntraClass:
    """Compute a distance between the real and the generated examples of each class, and its mean.

    With `frechet_distance_of_features` this is the intra-FID. Samples of a conditional model that have the
    distribution of all classes whatever their label have a small distance in all, but a large one within classes.

    Args:
        distance: function `(real, fake) -> number` of the features, images or points of two sets.
        real: real examples, [n, ...].
        real_labels: their classes, [n].
        fake: generated examples, [m, ...].
        fake_labels: classes for which they were generated, [m].

    Returns:
        The mean and the distance of each class. Values depend on the number of examples of a class; the Fréchet
        distance needs more of them than there are features.

    Raises:
        InputError: if there are no examples, real and generated examples do not have the same classes, or the distance
            refuses a class, such as one with too few examples.

    Reference:
        Miyato and Koyama 2018, arXiv:1802.05637, section 5.1.

    Example:
        >>> labels = np.array([0, 0, 1])
        >>> difference = lambda x, y: abs(float(x.mean() - y.mean()))
        >>> intra_class(difference, np.array([0.0, 2.0, 5.0]), labels, np.array([1.0, 2.0, 8.0]), labels)
        IntraClass(mean=1.75, of_classes={0: 0.5, 1: 3.0})
    """
    of_real, of_fake = np.asarray(real_labels), np.asarray(fake_labels)
    classes = np.union1d(of_real, of_fake)
    if len(classes) == 0:
        raise InputError("real and fake must have examples, got none")
    result = {}
    for label in classes.tolist():
        places = np.flatnonzero(of_real == label), np.flatnonzero(of_fake == label)
        for name, place in zip(("real", "fake"), places, strict=True):
            if len(place) == 0:
                raise InputError(f"{name} must have examples of every class of both sets, got none of class {label}")
        try:
            result[label] = float(distance(real[places[0]], fake[places[1]]))
        except ValueError as error:
            raise InputError(f"in class {label}, {error}") from error
    return IntraClass(float(np.mean(list(result.values()))), result)
