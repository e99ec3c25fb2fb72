"""Metrics of conditional models against scikit-learn and distances of each class."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from jaxgen.divergences import sliced_wasserstein
from jaxgen.errors import InputError
from jaxgen.metrics import classifier_accuracy_score, frechet_distance_of_features, intra_class

generator = np.random.default_rng(0)
LOGITS = generator.standard_normal((200, 6)).astype(np.float32)
LABELS = generator.integers(5, size=200)
LOGITS[np.arange(200), LABELS] += 1


@pytest.mark.parametrize("top", [1, 2, 6])
def test_accuracies_are_those_of_scikit_learn(top):
    score = jax.jit(lambda *arrays: classifier_accuracy_score(*arrays, top=top))(LOGITS, LABELS)
    labels = np.arange(6)
    if top < 6:
        assert score.accuracy == pytest.approx(top_k_accuracy_score(LABELS, LOGITS, k=top, labels=labels), rel=1e-6)
    if top == 1:
        matrix = confusion_matrix(LABELS, LOGITS.argmax(axis=1), labels=labels)[:5]
        np.testing.assert_allclose(score.of_classes[:5], matrix.diagonal() / matrix.sum(axis=1), rtol=1e-6)
    assert top < 6 or float(score.accuracy) == 1
    assert np.isnan(score.of_classes).tolist() == [False] * 5 + [True]


def test_of_equal_logits_only_the_first_is_most_probable():
    score = classifier_accuracy_score(jnp.zeros((4, 4)), jnp.arange(4), top=2)
    assert score.of_classes.tolist() == [1, 1, 0, 0]
    assert float(classifier_accuracy_score(jnp.full((4, 4), jnp.nan), jnp.arange(4)).accuracy) == 0


def test_intra_class_finds_labels_that_are_ignored():
    """Samples of the mixture of both classes, whatever their label, differ within classes only.

    Of one feature, the Fréchet distance is the sum of the squared differences of the means and of the deviations.
    """
    labels = np.repeat([3, 7], 200)
    real = generator.standard_normal((400, 1)) + labels[:, None]
    fake = real[generator.permutation(400)]
    found = intra_class(frechet_distance_of_features, real, labels, fake, labels)
    of_real, of_fake = real.reshape(2, 200), fake.reshape(2, 200)
    shift = of_real.mean(axis=1) - of_fake.mean(axis=1), of_real.std(axis=1, ddof=1) - of_fake.std(axis=1, ddof=1)
    expected = np.square(shift).sum(axis=0)
    assert found.of_classes == {3: pytest.approx(expected[0]), 7: pytest.approx(expected[1])}
    assert found.mean == pytest.approx(expected.mean())
    assert found.mean > 4 > 1e-6 > abs(float(frechet_distance_of_features(real, fake)))


def test_intra_class_takes_any_distance_and_events():
    images, labels = generator.standard_normal((30, 4, 4, 1)), np.arange(30) % 2
    distance = lambda x, y: sliced_wasserstein(jax.random.key(0), x, y)  # noqa: E731
    found = intra_class(distance, images, labels, images[::-1], labels[::-1])
    assert found.of_classes == {0: 0, 1: 0}


@pytest.mark.parametrize(
    ("logits", "labels", "top", "message"),
    [
        (LOGITS, LABELS[:9], 1, r"labels must be an array of integers \[n\] with n 200, got"),
        (LOGITS, LABELS * 1.0, 1, "labels must be an array of integers"),
        (LOGITS, LABELS + 2, 1, r"labels must be in \[0, 6\), got 6"),
        (LOGITS, LABELS, 7, r"top must be in \[1, 6\], the number of classes, got 7"),
        (LOGITS[:0], LABELS[:0], 1, "labels must be integers"),
    ],
)
def test_wrong_logits_and_labels_are_refused(logits, labels, top, message):
    with pytest.raises(ValueError, match=message):
        classifier_accuracy_score(logits, labels, top=top)


def test_classes_that_cannot_be_compared_are_refused():
    x, labels = np.ones((4, 2)), np.array([0, 0, 1, 1])
    with pytest.raises(InputError, match="fake must have examples of every class of both sets, got none of class 1"):
        intra_class(frechet_distance_of_features, x, labels, x, labels * 0)
    with pytest.raises(InputError, match="real must have examples of every class of both sets, got none of class -4"):
        intra_class(frechet_distance_of_features, x, labels, x, labels - 4)
    with pytest.raises(InputError, match=r"^in class 0, real must have at least two examples"):
        intra_class(frechet_distance_of_features, x[1:3], labels[1:3], x[1:3], labels[1:3])
    with pytest.raises(InputError, match="real and fake must have examples, got none"):
        intra_class(frechet_distance_of_features, x[:0], labels[:0], x[:0], labels[:0])
