import numpy as np
from sklearn import datasets

from jaxgen.data.digits import load_digits


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
