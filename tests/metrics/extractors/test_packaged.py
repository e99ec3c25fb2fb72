"""The classifiers in the package: their files are those of this version, and they classify what they are for."""

import hashlib

import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.errors import InputError
from jaxgen.metrics.extractors import DEFAULT_EXTRACTORS, classifier_of, default_extractor, load_extractor, packaged

LARGEST_FILE = 2**20

DATA = {"digits_v1": "digits", "mnist_v1": "mnist_small"}
"""Extractor -> data in the package that it classifies; mnist_small has 1,000 of the 10,000 test images of MNIST."""


@pytest.mark.parametrize("name", packaged.PACKAGED)
def test_the_file_in_the_package_has_the_pinned_hash_and_less_than_a_megabyte(name):
    content = packaged.weights_file(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == HASHES[name]
    assert len(content) < LARGEST_FILE


HASHES = {
    "digits_v1": "66cafc049cd17d64b8c8592626b7dc4fccc8b70e26a07034c1662124f3178868",
    "mnist_v1": "a436c91d10e5e599deb5c4184be3b93b6c7d3a4fafaaed902942a1c9c716a551",
    "fashion_mnist_v1": "3495415852d48a97dc1260fccc300e4b65176ae06c7e89cb1c48cb408f97d236",
}
"""Pinned here as well, so that a changed file and a changed table in the package are noticed together."""


@pytest.mark.parametrize("name", DATA)
def test_test_images_are_classified_with_the_stated_accuracy(name):
    test = load(DATA[name], split="test")
    predicted = load_extractor(name)(test["image"]).logits.argmax(axis=-1)
    # Within two standard errors of the share of the images at hand.
    stated = packaged.PACKAGED[name].accuracy
    error = np.sqrt(stated * (1 - stated) / len(test["label"]))
    assert np.mean(predicted == test["label"]) == pytest.approx(stated, abs=2 * error)


def test_logits_are_the_affine_map_of_the_features():
    extractor = load_extractor("digits_v1")
    found = extractor(load("digits", split="test")["image"][:10])
    last = extractor.params["params"]["Dense_0"]
    expected = found.features.astype(np.float64) @ np.float64(last["kernel"]) + np.float64(last["bias"])
    np.testing.assert_allclose(found.logits, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("content", "got"), [(b"other", "another file"), (None, "none")])
def test_a_changed_or_missing_file_is_refused(monkeypatch, tmp_path, content, got):
    path = tmp_path / "digits_v1.safetensors"
    if content:
        path.write_bytes(content)
    monkeypatch.setattr(packaged, "weights_file", lambda name: path)
    with pytest.raises(InputError) as error:
        packaged.packaged_extractor.__wrapped__("digits_v1")
    expected = f"the weights of digits_v1 must be those of this version of jaxgen, got {got}: install jaxgen again"
    assert str(error.value) == expected


def test_a_missing_file_is_refused_with_what_to_do(monkeypatch, tmp_path):
    packaged.packaged_extractor.cache_clear()
    monkeypatch.setattr(packaged, "weights_file", lambda name: tmp_path / name)
    with pytest.raises(InputError, match="got none: install jaxgen again"):
        packaged.packaged_extractor("digits_v1")


def test_data_without_an_extractor_of_their_own_need_a_choice():
    with pytest.raises(InputError, match="an extractor must be chosen for the data 'cifar10'"):
        default_extractor("cifar10")
    assert set(DEFAULT_EXTRACTORS.values()) <= set(packaged.PACKAGED)


def test_the_classifier_of_data_is_the_one_trained_on_their_classes_and_size():
    for data, name in DEFAULT_EXTRACTORS.items():
        size = load_extractor(name).size
        assert classifier_of(data, size) == name
        assert classifier_of(data, (size[0], size[1] + 1)) is None
    assert classifier_of("kmnist", (28, 28)) is None
    assert classifier_of("./mnist", (28, 28)) is None
