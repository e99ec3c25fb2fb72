"""`jaxgen metrics compare`: two sets of images, and one sentence for what cannot be compared."""

import json

import numpy as np
import pytest

from jaxgen.data import load

TEST = load("digits", split="test")["image"]


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    """Two files with the halves of the test digits."""
    folder = tmp_path_factory.mktemp("halves")
    np.savez(folder / "a.npz", image=TEST[::2])
    np.save(folder / "b.npy", TEST[1::2, ..., 0] / np.float32(255))
    return folder


def compare(jaxgen, *arguments):
    result = jaxgen("metrics", "compare", *arguments, "--json")
    assert result.status == 0
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
    np.save(tmp_path / "one.npy", TEST[:1])
    assert "must have at least 2 examples of both sets, got 1" in refused(
        "metrics", "compare", "digits:test", tmp_path / "one.npy"
    )


def test_data_without_an_extractor_of_their_own_need_a_choice(refused, halves):
    message = refused("metrics", "compare", halves / "a.npz", halves / "b.npy")
    assert "an extractor must be chosen for" in message


def test_an_unknown_action_is_refused(refused):
    assert "compare" in refused("metrics", "compere")
