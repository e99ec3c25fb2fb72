"""Class arithmetic of latents and of pixels, of encoded examples and of classified samples."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.metrics import CONFIDENT
from jaxgen.metrics.extractors import Extracted
from jaxgen.report import arithmetic
from jaxgen.report.arithmetic import class_arithmetic
from jaxgen.report.section import NotApplicable, load_input
from tests.report.small_reports import inputs_of, recorded, rows_of
from tests.report.test_traversals import linear_generator

EDGES = np.array([0.0, 0.46, 0.5, 0.54, 0.655])
"""Grey values at which the classes begin; the last class has fewer than three samples."""


@dataclasses.dataclass(frozen=True)
class GreyClassifier:
    """A classifier by the mean grey value, which is not confident about half of the images: by the fourth decimal."""

    edges: np.ndarray = dataclasses.field(default_factory=lambda: EDGES)

    @staticmethod
    def grey(images):
        return np.asarray(images, np.float64).mean(axis=(1, 2, 3))

    def __call__(self, images):
        grey = self.grey(images)
        label = np.searchsorted(self.edges, grey) - 1
        confidence = np.where(grey * 1000 % 1 < 0.5, 0.95, 0.85)
        probabilities = np.eye(10)[label] * confidence[:, None] + (1 - confidence[:, None]) / 10
        return Extracted(probabilities, np.log(probabilities))


@pytest.fixture(autouse=True)
def published_confidence(monkeypatch):
    monkeypatch.setattr(arithmetic, "CONFIDENT", CONFIDENT)


def test_pixels_of_examples_are_added_and_subtracted(trained, monkeypatch):
    inputs = load_input(trained("vae"), seed=0)
    rows = rows_of(monkeypatch, "arithmetic", class_arithmetic, inputs)
    image, label = np.asarray(inputs.training_examples["image"]) / 255, np.asarray(inputs.training_examples["label"])
    of_two = image[label == 2]
    expected = image[label == 3].mean(axis=0) - of_two.mean(axis=0) + of_two[0]
    np.testing.assert_allclose(rows["+ a - b, in pixels"][2], expected, atol=1e-5)
    np.testing.assert_allclose(rows["example of b"][2], of_two[0], atol=1e-6)
    examples = {name: array[label == 2][:1] for name, array in inputs.training_examples.items()}
    reconstruction = inputs.shown_run.reconstruct(examples)[0]
    np.testing.assert_allclose(rows["its reconstruction"][2], reconstruction, rtol=1e-5, atol=1e-6)


def test_samples_have_the_labels_of_confident_predictions(monkeypatch):
    run, classifier = linear_generator(), GreyClassifier()
    calls = recorded(monkeypatch, "arithmetic", "decode")
    classified = recorded(monkeypatch, "arithmetic", "load_extractor", lambda _: classifier)
    rows = rows_of(
        monkeypatch, "arithmetic", class_arithmetic, inputs_of(run, training_examples={"label": np.arange(10)})
    )
    assert classified == [(("digits_v1",), {})]

    latents = np.asarray(run.model.sample_latent(inputs_of(run).key, 5000), np.float64)
    grey = classifier.grey(run.model.decode(None, jnp.asarray(latents)))
    label, confident = np.searchsorted(EDGES, grey) - 1, grey * 1000 % 1 < 0.5
    assert 0 < np.sum(confident & (label == 4)) < 3
    assert 0.3 < confident.mean() < 0.7
    expected = {"latents": [], "pixels": [], "sample": []}
    for b, a in ((0, 1), (1, 2), (2, 3)):
        of_a, of_b = (np.flatnonzero(confident & (label == k)) for k in (a, b))
        expected["latents"].append(latents[of_a].mean(axis=0) - latents[of_b].mean(axis=0) + latents[of_b[0]])
        expected["pixels"].append(grey[of_a].mean() - grey[of_b].mean() + grey[of_b[0]])
        expected["sample"].append(grey[of_b[0]])
    [((_, drawn), _), ((_, summed), _)] = calls
    np.testing.assert_allclose(drawn, latents, rtol=1e-6)
    np.testing.assert_allclose(summed, expected["latents"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(classifier.grey(rows["sample of b"]), expected["sample"], rtol=1e-5)
    np.testing.assert_allclose(classifier.grey(rows["+ a - b, in pixels"]), expected["pixels"], rtol=1e-5)
    np.testing.assert_allclose(rows["+ a - b, in latents"], run.model.decode(None, summed), rtol=1e-6)
    assert "its reconstruction" not in rows


def test_what_is_missing_is_named(monkeypatch):
    run, labels = linear_generator(), {"label": np.arange(10)}
    smaller = run._replace(example=run.example | {"image": np.zeros((1, 4, 4, 1), np.uint8)})
    other = run._replace(config=dataclasses.replace(run.config, data="kmnist"))
    for without in (smaller, other):
        with pytest.raises(NotApplicable, match=r"is only one of digits, .*fashion_mnist in their own size"):
            class_arithmetic(inputs_of(without, training_examples=labels))
    with pytest.raises(NotApplicable, match="the data have no labels"):
        class_arithmetic(inputs_of(run))
    with pytest.raises(NotApplicable, match="the model is conditional on the class, so its latents do not represent"):
        class_arithmetic(inputs_of(linear_generator(conditions=("label",)), training_examples=labels))
    monkeypatch.setattr(arithmetic, "load_extractor", lambda _: GreyClassifier(np.zeros(1)))
    with pytest.raises(NotApplicable, match="fewer than two classes"):
        class_arithmetic(inputs_of(run, training_examples=labels))
