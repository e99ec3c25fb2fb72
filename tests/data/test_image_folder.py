import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jaxgen.data.image_folder import PictureFolder, own_images, read_npz, resize_all
from jaxgen.data.streaming import hold
from jaxgen.errors import InputError

RED, GREEN = (255, 0, 0), (0, 255, 0)


def save(path: Path, size: tuple[int, int] = (6, 6), color: Any = 0, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)
    return path


def save_noise(path: Path, size: int = 32) -> Path:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)).save(path)
    return path


def values(source: Any) -> list[int]:
    """The first channel of each picture's first pixel."""
    return hold(source)["image"][:, 0, 0, 0].tolist()


# Folders


def test_pictures_are_read_exactly_and_in_order_of_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 256, (5, 7, 3), np.uint8) for name in ("b.png", "a.PNG", "c.png")}
    for name, array in arrays.items():
        Image.fromarray(array).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_bytes(b"what some systems leave beside a file")
    data = hold(PictureFolder(tmp_path, None))
    np.testing.assert_array_equal(data["image"], [arrays["a.PNG"], arrays["b.png"], arrays["c.png"]])
    assert "label" not in data


def test_subfolders_in_order_of_their_names_are_labels(tmp_path: Path) -> None:
    for name, level in [("dog/1.png", 10), ("cat/1.png", 20), ("dog/deep/2.png", 30), ("eel/1.jpg", 40)]:
        save(tmp_path / name, color=level)
    folder = PictureFolder(tmp_path, None)
    data = hold(folder)
    assert folder.labels == ["cat", "dog", "eel"]
    assert data["image"][:, 0, 0, 0].tolist() == [20, 10, 30, 40]
    assert data["label"].tolist() == [0, 1, 1, 2]
    assert folder.classes == 3


def test_every_tenth_picture_is_for_testing(tmp_path: Path) -> None:
    for i in range(25):
        save(tmp_path / f"{i:02}.png", color=i)
    assert values(own_images(tmp_path, "test", None)) == [9, 19]
    assert values(own_images(tmp_path, "train", None)) == [i for i in range(25) if i not in (9, 19)]


def test_train_and_test_subfolders_are_the_splits(tmp_path: Path) -> None:
    for i, name in enumerate(["train/cat/1.png", "train/dog/1.png", "train/eel/1.png", "test/dog/2.png"]):
        save(tmp_path / name, color=i)
    assert values(own_images(tmp_path, "train", None)) == [0, 1, 2]
    test = own_images(tmp_path, "test", None)
    assert values(test) == [3]
    assert hold(test)["label"].tolist() == [1]
    save(tmp_path / "test/fox/1.png")
    with pytest.raises(InputError, match=r"test has the label 'fox', which the training pictures have not"):
        own_images(tmp_path, "test", None)


def test_a_test_split_without_the_labels_of_training_is_refused(tmp_path: Path) -> None:
    for name in ["train/cat/1.png", "train/dog/1.png", "test/1.png"]:
        save(tmp_path / name)
    with pytest.raises(InputError, match=r"test have no labels, and those for training have: use subfolders"):
        own_images(tmp_path, "test", None)


def test_a_folder_called_train_without_one_called_test_is_a_label(tmp_path: Path) -> None:
    for name in ["bus/1.png", "train/1.png"]:
        save(tmp_path / name)
    assert hold(own_images(tmp_path, "train", None))["label"].tolist() == [0, 1]


def test_pictures_are_resized_and_cropped_around_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = RED, (9, 99, 199), GREEN
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    data = hold(PictureFolder(tmp_path, 10))
    assert data["image"].shape == (2, 10, 10, 3)
    # The middle third alone is left, but for the filter's reach over its two edges.
    np.testing.assert_array_equal(data["image"][0, 3:-3], np.broadcast_to([9, 99, 199], (4, 10, 3)))
    np.testing.assert_array_equal(data["image"][1, :, 3:-3], np.broadcast_to([9, 99, 199], (10, 4, 3)))


def test_resizing_averages_rather_than_picks() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[np.newaxis, ..., np.newaxis]
    np.testing.assert_allclose(resize_all(board, 16, "board")[0, 4:-4, 4:-4], 127.5, atol=3)


def test_a_picture_that_a_camera_marked_as_turned_is_turned(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4), RED)
    image.paste(GREEN, (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    data = hold(PictureFolder(tmp_path, None))
    assert data["image"].shape == (1, 8, 4, 3)
    np.testing.assert_array_equal(data["image"][0, 0, 0], GREEN)
    np.testing.assert_array_equal(data["image"][0, -1, -1], RED)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("L", 77, [77]),
        ("1", 1, [255]),
        ("LA", (77, 255), [77]),
        ("LA", (77, 0), [255]),
        ("I;16", 257 * 77, [77]),
        ("RGB", (1, 2, 3), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 255), [1, 2, 3]),
        ("RGBA", (1, 2, 3, 0), [255, 255, 255]),
    ],
)
def test_every_mode_becomes_grey_or_colour(tmp_path: Path, mode: str, color: Any, expected: list[int]) -> None:
    save(tmp_path / "a.png", mode=mode, color=color)
    image = hold(PictureFolder(tmp_path, None))["image"]
    np.testing.assert_array_equal(image, np.broadcast_to(expected, (1, 6, 6, len(expected))))


def test_one_picture_in_colour_makes_all_of_them_so(tmp_path: Path) -> None:
    save(tmp_path / "a.png", color=50)
    palette = Image.new("P", (6, 6), 1)
    palette.putpalette([0, 0, 0, *GREEN])
    palette.save(tmp_path / "b.png")
    image = hold(PictureFolder(tmp_path, None))["image"]
    np.testing.assert_array_equal(image[:, 0, 0], [[50, 50, 50], GREEN])


def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no pictures; they end in .jpeg, .jpg, .png"):
        own_images(tmp_path, "train", None)
    save(tmp_path / "a.png", (6, 6))
    with pytest.raises(InputError, match="has 1 pictures, a test split needs at least 10"):
        own_images(tmp_path, "test", None)
    with pytest.raises(InputError, match=r"a.png is 6x6 pixels, smaller than the image size 8; give at most 6"):
        own_images(tmp_path, "train", 8)
    save(tmp_path / "b.png", (6, 9))
    with pytest.raises(InputError, match=r"b.png is 6x9 pixels, but a.png is 6x6; give an image size for all"):
        own_images(tmp_path, "train", None)
    save(tmp_path / "label" / "c.png")
    with pytest.raises(InputError, match="both in itself and in subfolders"):
        own_images(tmp_path, "train", 6)


def test_splits_of_different_shape_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png", mode="RGB", color=RED)
    save(tmp_path / "test" / "a.png")
    with pytest.raises(InputError, match=r"test have the shape \(6, 6, 1\), those in train \(6, 6, 3\)"):
        own_images(tmp_path, "test", None)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_a_picture_that_is_cut_off_is_named(tmp_path: Path, suffix: str, kept: float) -> None:
    save_noise(tmp_path / f"a.{suffix}")
    path = save_noise(tmp_path / f"cut.{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=f"cut.{suffix} cannot be read as a picture"):
        hold(PictureFolder(tmp_path, None))


def test_a_picture_with_flipped_bits_and_one_of_absurd_size_are_named(tmp_path: Path) -> None:
    path = save_noise(tmp_path / "a.png")
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.png cannot be read as a picture"):
        hold(PictureFolder(tmp_path, None))
    content[16:24] = struct.pack(">2I", 100_000, 100_000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.png cannot be read as a picture"):
        hold(PictureFolder(tmp_path, None))


# .npz files


def save_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_an_npz_file_is_read_as_it_is(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 5, 7, 3), np.uint8)
    path = save_npz(tmp_path / "own.npz", image=image, label=np.arange(20))
    train, test = (hold(own_images(path, split, None)) for split in ("train", "test"))
    np.testing.assert_array_equal(test["label"], [9, 19])
    assert test["label"].dtype == np.int32
    np.testing.assert_array_equal(test["image"], image[[9, 19]])
    np.testing.assert_array_equal(train["image"], image[train["label"]])
    assert len(train["label"]) == 18


def test_floats_become_bytes_and_a_missing_channel_axis_is_added(tmp_path: Path) -> None:
    levels = (np.arange(256) / 255).astype(np.float32).reshape(1, 16, 16)
    data = read_npz(save_npz(tmp_path / "own.npz", image=levels), None)
    np.testing.assert_array_equal(data["image"], np.arange(256).reshape(1, 16, 16, 1))
    assert list(data) == ["image"]


def test_an_npz_file_is_resized(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "own.npz", image=np.full((2, 8, 12), 7, np.uint8))
    np.testing.assert_array_equal(read_npz(path, 4)["image"], np.full((2, 4, 4, 1), 7))
    with pytest.raises(InputError, match=r"own.npz is 12x8 pixels, smaller than the image size 9; give at most 8"):
        read_npz(path, 9)


GOOD = np.zeros((4, 8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GOOD}, "holds no array named 'image'"),
        ({"image": GOOD[0, 0]}, r"has the shape \(8, 1\), not \[n, h, w\]"),
        ({"image": GOOD.transpose(0, 3, 1, 2)}, r"has the shape \(4, 1, 8, 8\)"),
        ({"image": GOOD[:0]}, r"has the shape \(0, 8, 8, 1\)"),
        ({"image": GOOD.astype(int)}, "is int64, not uint8 or floats"),
        ({"image": GOOD + 1.5}, r"has floats outside \[0, 1\]"),
        ({"image": GOOD - 0.1}, r"has floats outside \[0, 1\]"),
        ({"image": GOOD * np.nan}, r"has floats outside \[0, 1\]"),
        ({"image": GOOD, "label": [0, 1, 2]}, r"has the shape \(3,\), but there are 4 pictures"),
        ({"image": GOOD, "label": GOOD}, "but there are 4 pictures"),
        ({"image": GOOD, "label": [0.0, 1.0, 0.5, 0.0]}, "is float64, not integers"),
        ({"image": GOOD, "label": [0, -1, 2, 3]}, "goes from -1 to 3; labels count from 0 on"),
        ({"image": GOOD, "label": [0, 2**40, 2, 3]}, "labels count from 0 on"),
        ({"image": np.array([{}, None, 1, "a"], object)}, "cannot be read as an .npz file of plain arrays"),
        ({"image": GOOD, "label": np.array([{}, None, 1, "a"], object)}, "cannot be read as an .npz file"),
    ],
)
def test_what_is_wrong_with_an_npz_file_is_said(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_npz(save_npz(tmp_path / "own.npz", **arrays), None)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_an_npz_file_that_is_cut_off_is_named(tmp_path: Path, kept: float) -> None:
    path = save_npz(tmp_path / "cut.npz", image=GOOD)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=r"cut.npz cannot be read as an .npz file"):
        read_npz(path, None)


def test_an_npz_file_with_flipped_bits_is_named(tmp_path: Path) -> None:
    path = tmp_path / "flipped.npz"
    np.savez_compressed(path, image=np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"flipped.npz cannot be read as an .npz file"):
        read_npz(path, None)


def test_an_array_file_in_disguise_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GOOD)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a.npz cannot be read as an .npz file"):
        read_npz(tmp_path / "a.npz", None)
