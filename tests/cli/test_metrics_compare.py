"""`jaxgen metrics compare`: numbers of two sets of images with protocols, and one sentence for what does not fit."""

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


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two files with the halves of the test digits."""
    folder = tmp_path_factory.mktemp("halves")
    np.savez(folder / "a.npz", image=IMAGES[::2])
    np.save(folder / "b.npy", IMAGES[1::2, ..., 0] / np.float32(255))
    return folder


def compare(jaxgen, *arguments):
    result = jaxgen("metrics", "compare", *arguments, "--json")
    assert result.status == 0, result.err
    return json.loads(result.out)


def test_halves_of_real_images_are_near_and_recalled(jaxgen, halves):
    found = compare(
        jaxgen, halves / "a.npz", halves / "b.npy", "--extractor", "digits_v1", "--metrics", "kid", "density_coverage"
    )
    (kid,) = (value for name, value in found.items() if name.startswith("kernel_distance["))
    (coverage,) = (value for name, value in found.items() if name.startswith("coverage["))
    assert abs(kid) < 0.3
    assert coverage > 0.85


def test_a_set_has_no_distance_from_itself(jaxgen, halves):
    found = compare(jaxgen, "digits:test", "digits:test", "--metrics", "fid", "precision_recall")
    assert {name.partition("[")[0]: value for name, value in found.items()} == pytest.approx(
        {"frechet_distance": 0.0, "precision": 1.0, "recall": 1.0}, abs=1e-6
    )


def test_the_protocol_names_extractor_resizer_numbers_and_split(jaxgen, halves):
    found = compare(jaxgen, "digits:test", halves / "a.npz", "--metrics", "precision_recall")
    assert list(found) == [
        "precision[digits_v1, none, n=360/180, split=digits:test, k=3]",
        "recall[digits_v1, none, n=360/180, split=digits:test, k=3]",
    ]


def test_the_table_shows_the_numbers_of_the_json(jaxgen, halves):
    arguments = ("digits:test", halves / "a.npz", "--metrics", "precision_recall")
    table = jaxgen("metrics", "compare", *arguments).out
    for name, value in compare(jaxgen, *arguments).items():
        (row,) = (line for line in table.splitlines() if name in line)
        assert f"{value:.5g}" in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("digits:test", "absent.npz"), "there is no file 'absent.npz'"),
        (("digits:test", "digits:train", "--metrics", "fud"), "there is no metric of features 'fud': did you mean"),
        (("digits:test", "digits:train", "--metrics"), "metrics must be at least one of"),
        (("digits:test", "digits:train", "--extractor", "mnist"), "there is no extractor 'mnist': did you mean"),
        (("digits:test", "digits:train", "--resizer", "nearest"), "there is no resizer 'nearest'"),
        (("digits:test", "digits:train", "--metrics", "memorization"), "memorization must have held-out examples"),
        (("digits:test", "mnist_small:test"), "must be 8x8 where they are not resized, got 28x28: choose a resizer"),
        (("digits:test", "ring"), "metrics of features are of images, and ring are points"),
        (("digits:test", "digits:train", "--image-size", "0"), "--image-size must be at least 1"),
        (("digits:test", "digits:train", "--seed", "-1"), "--seed must be between 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_one_sentence(refused, arguments, message):
    assert message in refused("metrics", "compare", *arguments)


def test_one_image_is_refused(refused, tmp_path):
    np.save(tmp_path / "one.npy", IMAGES[:1])
    assert "must have at least 2 examples of both sets, got 1" in refused(
        "metrics", "compare", "digits:test", tmp_path / "one.npy"
    )


def test_data_without_an_extractor_of_their_own_need_a_choice(refused, halves):
    message = refused("metrics", "compare", halves / "a.npz", halves / "b.npy")
    assert "an extractor must be chosen for" in message


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
