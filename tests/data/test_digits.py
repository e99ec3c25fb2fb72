import hashlib
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from jaxgen.data.digits import MNIST_SMALL, load_digits, load_mnist_small
from jaxgen.data.originals import read_original

REAL = Path(os.environ["JAXGEN_TEST_DATA"], "mnist") if "JAXGEN_TEST_DATA" in os.environ else None
"""Path of a folder with the four idx files of MNIST."""


def test_splits_partition_the_digits_scaled_to_256_grey_levels() -> None:
    train, test = load_digits("train"), load_digits("test")
    assert (len(train["image"]), len(test["image"])) == (1437, 360)
    together = np.concatenate([train["image"], test["image"]]).reshape(-1, 64)
    labels = np.concatenate([train["label"], test["label"]])
    bundled, bundled_labels = datasets.load_digits(return_X_y=True)
    scaled = np.array([round(level * 255 / 16) for level in range(17)])[bundled.astype(int)]

    def rows(images: np.ndarray, classes: np.ndarray) -> list[tuple[int, ...]]:
        return sorted(tuple(row) for row in np.column_stack([images, classes]).astype(int).tolist())

    assert rows(together, labels) == rows(scaled, bundled_labels)


def test_split_is_stratified_and_fixed() -> None:
    train, test = np.bincount(load_digits("train")["label"]), np.bincount(load_digits("test")["label"])
    assert np.all(np.abs(test - (train + test) / 5) < 1)
    # Reference values: a different split would change every number measured on the test split.
    np.testing.assert_array_equal(test, [36, 36, 36, 36, 37, 36, 36, 36, 35, 36])
    assert int(load_digits("test")["image"].astype(np.int64).sum()) == 1782171


@pytest.mark.parametrize(
    ("split", "examples", "images_sha256", "labels_sha256"),
    [
        (
            "train",
            6000,
            "a051f814a250d3475151cbde645f82bf0c34cb896bfcfcc2a2214bbcbd1f88ce",
            "493b332089ef4945e6c8f18de058d5718e419723e1853b958ae08285ba2df4a1",
        ),
        (
            "test",
            1000,
            "f8f3c5a608a9f7d4bd5e9d69b90c53932b8b99371d9db26121b42f62f3abcd56",
            "d14ba0a1a3818edefa35518ed001ece84b7ac0eabe9394551c73928493175d3f",
        ),
    ],
)
def test_mnist_small_is_the_beginning_of_mnist(
    split: str, examples: int, images_sha256: str, labels_sha256: str
) -> None:
    data = load_mnist_small(split)
    assert (data["image"].shape, data["image"].dtype) == ((examples, 28, 28, 1), np.uint8)
    assert hashlib.sha256(data["image"].tobytes()).hexdigest() == images_sha256
    assert hashlib.sha256(data["label"].astype(np.uint8).tobytes()).hexdigest() == labels_sha256
    if REAL is not None and REAL.is_dir():
        published = read_original("mnist", REAL, split)
        np.testing.assert_array_equal(data["image"], published["image"][:examples])
        np.testing.assert_array_equal(data["label"], published["label"][:examples])


def test_mnist_small_is_small_and_its_notice_names_authors_source_and_licence() -> None:
    assert MNIST_SMALL.stat().st_size < 2_000_000
    notice = MNIST_SMALL.with_suffix(".md").read_text()
    for stated in ("Yann LeCun and Corinna Cortes", "yann.lecun.com", "creativecommons.org/licenses/by-sa/3.0"):
        assert stated in notice
    root = MNIST_SMALL.parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert MNIST_SMALL.with_suffix(".md").relative_to(root).as_posix() in project["license-files"]
    assert "CC-BY-SA-3.0" in project["license"]
