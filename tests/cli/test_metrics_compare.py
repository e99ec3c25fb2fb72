"""`jaxgen metrics compare`: numbers of two sets of images with protocols; what does not fit is refused early."""

import json

import numpy as np
import pytest

from jaxgen.cli import metrics_compare
from jaxgen.data import load

IMAGES = load("digits", split="test")["image"]
METRIC = ("--metrics", "precision_recall", "--extractor", "digits_v1")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Folder of files of images."""
    folder = tmp_path_factory.mktemp("sets")
    for name, images in {"a": IMAGES[:16], "b": IMAGES[16:32], "rgb": np.repeat(IMAGES[:16], 3, -1)}.items():
        np.save(folder / f"{name}.npy", images)
    np.savez(folder / "c.npz", IMAGES[:16])
    return folder


def compare(jaxgen, *arguments):
    result = jaxgen("metrics", "compare", *arguments, "--json")
    assert result.status == 0, result.err
    return json.loads(result.out)


def test_one_array_without_a_name_is_read_as_the_array_of_a_file(files, jaxgen):
    """`np.savez(file, images)` and `np.save(file, images)` hold the same."""
    of_npy = compare(jaxgen, files / "b.npy", files / "a.npy", *METRIC)
    assert list(of_npy.values()) == list(compare(jaxgen, files / "b.npy", files / "c.npz", *METRIC).values())


def test_the_size_to_which_images_are_scaled_is_part_of_the_protocol(files, jaxgen):
    resized = ("--resizer", "bilinear", *METRIC)
    own, scaled = (
        compare(jaxgen, files / "a.npy", files / "b.npy", *further, *resized) for further in ((), ("--image-size", "4"))
    )
    one, other = next(iter(own)), next(iter(scaled))
    assert own != scaled
    assert "@4#" in other
    assert "@" not in one


def test_a_data_set_without_a_split_has_the_protocol_of_its_training_split(files, jaxgen):
    assert compare(jaxgen, "digits", files / "b.npy", *METRIC) == compare(
        jaxgen, "digits:train", files / "b.npy", *METRIC
    )


@pytest.mark.parametrize(
    ("fake", "metrics", "sentence"),
    [
        ("rgb.npy", ["fid"], "rgb.npy: images for the extractor digits_v1 must be grey, got 3 channels"),
        ("a.npy", ["fid", "memorization"], "memorization must have held-out examples, got none"),
        ("a.npy", ["fid", "intra_class"], "intra_class must have labels of both sets, got none"),
        ("a.npy", ["fid", "fid_infinity"], "fid_infinity must have at least 20 examples of both sets, got 16"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_features_are_computed(
    files, fake, metrics, sentence, refused, monkeypatch
):
    monkeypatch.setattr(metrics_compare, "features_of_data", lambda *_, **__: pytest.fail("it takes long"))
    found = refused(
        "metrics", "compare", files / "a.npy", files / fake, "--extractor", "digits_v1", "--metrics", *metrics
    )
    assert sentence in found
