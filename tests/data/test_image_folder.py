import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jaxgen.data.image_folder import ImageFolder, open_images, read_npz, resize_all
from jaxgen.data.streaming import read_all
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
    """The first channel of the first pixel of each image."""
    return read_all(source)["image"][:, 0, 0, 0].tolist()


# Folders


def test_images_are_read_exactly_and_in_order_of_their_names(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 256, (5, 7, 3), np.uint8) for name in ("b.png", "a.PNG", "c.png")}
    for name, array in arrays.items():
        Image.fromarray(array).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._a.png").write_bytes(b"metadata file of an operating system")
    data = read_all(ImageFolder(tmp_path, None))
    np.testing.assert_array_equal(data["image"], [arrays["a.PNG"], arrays["b.png"], arrays["c.png"]])
    assert "label" not in data


def test_labels_are_the_subfolders_in_order_of_their_names(tmp_path: Path) -> None:
    for name, level in [("dog/1.png", 10), ("cat/1.png", 20), ("dog/deep/2.png", 30), ("eel/1.jpg", 40)]:
        save(tmp_path / name, color=level)
    folder = ImageFolder(tmp_path, None)
    data = read_all(folder)
    assert folder.labels == ["cat", "dog", "eel"]
    assert data["image"][:, 0, 0, 0].tolist() == [20, 10, 30, 40]
    assert data["label"].tolist() == [0, 1, 1, 2]
    assert folder.classes == 3


def test_every_tenth_image_belongs_to_the_test_split(tmp_path: Path) -> None:
    for i in range(25):
        save(tmp_path / f"{i:02}.png", color=i)
    assert values(open_images(tmp_path, "test", None)) == [9, 19]
    assert values(open_images(tmp_path, "train", None)) == [i for i in range(25) if i not in (9, 19)]


def test_train_and_test_subfolders_are_the_splits(tmp_path: Path) -> None:
    for i, name in enumerate(["train/cat/1.png", "train/dog/1.png", "train/eel/1.png", "test/dog/2.png"]):
        save(tmp_path / name, color=i)
    assert values(open_images(tmp_path, "train", None)) == [0, 1, 2]
    test = open_images(tmp_path, "test", None)
    assert values(test) == [3]
    assert read_all(test)["label"].tolist() == [1]
    save(tmp_path / "test/fox/1.png")
    with pytest.raises(InputError, match=r"labels in .*test must be labels of the training images, got 'fox'"):
        open_images(tmp_path, "test", None)


def test_unlabelled_test_images_for_labelled_training_images_are_rejected(tmp_path: Path) -> None:
    for name in ["train/cat/1.png", "train/dog/1.png", "test/1.png"]:
        save(tmp_path / name)
    with pytest.raises(
        InputError, match=r"images of .*test must have labels as the training images have: use subfolders"
    ):
        open_images(tmp_path, "test", None)


def test_subfolder_train_without_a_subfolder_test_is_a_label(tmp_path: Path) -> None:
    for name in ["bus/1.png", "train/1.png"]:
        save(tmp_path / name)
    assert read_all(open_images(tmp_path, "train", None))["label"].tolist() == [0, 1]


def test_images_are_resized_and_cropped_around_the_centre(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, :20], wide[:, 20:40], wide[:, 40:] = RED, (9, 99, 199), GREEN
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.transpose(1, 0, 2)).save(tmp_path / "tall.png")
    data = read_all(ImageFolder(tmp_path, 10))
    assert data["image"].shape == (2, 10, 10, 3)
    # Only the middle third is left, except for the support of the resampling filter at its two edges.
    np.testing.assert_array_equal(data["image"][0, 3:-3], np.broadcast_to([9, 99, 199], (4, 10, 3)))
    np.testing.assert_array_equal(data["image"][1, :, 3:-3], np.broadcast_to([9, 99, 199], (10, 4, 3)))


def test_resizing_averages_pixels() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[np.newaxis, ..., np.newaxis]
    np.testing.assert_allclose(resize_all(board, 16, "board")[0, 4:-4, 4:-4], 127.5, atol=3)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4), RED)
    image.paste(GREEN, (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees clockwise
    image.save(tmp_path / "rotated.png", exif=exif)
    data = read_all(ImageFolder(tmp_path, None))
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
def test_every_image_mode_is_converted_to_grey_or_rgb(
    tmp_path: Path, mode: str, color: Any, expected: list[int]
) -> None:
    save(tmp_path / "a.png", mode=mode, color=color)
    image = read_all(ImageFolder(tmp_path, None))["image"]
    np.testing.assert_array_equal(image, np.broadcast_to(expected, (1, 6, 6, len(expected))))


def test_all_images_are_rgb_if_one_image_has_colours(tmp_path: Path) -> None:
    save(tmp_path / "a.png", color=50)
    palette = Image.new("P", (6, 6), 1)
    palette.putpalette([0, 0, 0, *GREEN])
    palette.save(tmp_path / "b.png")
    image = read_all(ImageFolder(tmp_path, None))["image"]
    np.testing.assert_array_equal(image[:, 0, 0], [[50, 50, 50], GREEN])


def test_error_states_what_is_invalid_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must contain images: files that end in .jpeg, .jpg, .png"):
        open_images(tmp_path, "train", None)
    save(tmp_path / "a.png", (6, 6))
    with pytest.raises(InputError, match="must have at least 10 images for a test split, got 1"):
        open_images(tmp_path, "test", None)
    with pytest.raises(InputError, match=r"image_size must be at most 6 for .*a.png of 6x6 pixels, got 8"):
        open_images(tmp_path, "train", 8)
    save(tmp_path / "b.png", (6, 9))
    with pytest.raises(
        InputError, match=r"must have the size of a.png, 6x6 pixels, got 6x9 for .*b.png; give an image size"
    ):
        open_images(tmp_path, "train", None)
    save(tmp_path / "label" / "c.png")
    with pytest.raises(InputError, match=r"must have all images in subfolders \(the labels\) or none, got both"):
        open_images(tmp_path, "train", 6)


def test_splits_with_different_image_shapes_are_rejected(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png", mode="RGB", color=RED)
    save(tmp_path / "test" / "a.png")
    with pytest.raises(InputError, match=r"must have the shape of those in train \(6, 6, 3\), got \(6, 6, 1\)"):
        open_images(tmp_path, "test", None)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_error_names_a_truncated_image(tmp_path: Path, suffix: str, kept: float) -> None:
    save_noise(tmp_path / f"a.{suffix}")
    path = save_noise(tmp_path / f"truncated.{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=f"truncated.{suffix} cannot be read as an image"):
        read_all(ImageFolder(tmp_path, None))


def test_error_names_an_image_with_flipped_bits_or_an_excessive_size(tmp_path: Path) -> None:
    path = save_noise(tmp_path / "a.png")
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.png cannot be read as an image"):
        read_all(ImageFolder(tmp_path, None))
    content[16:24] = struct.pack(">2I", 100_000, 100_000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.png cannot be read as an image"):
        read_all(ImageFolder(tmp_path, None))


# .npz files


def save_npz(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def test_npz_file_is_read_exactly_and_split(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 5, 7, 3), np.uint8)
    path = save_npz(tmp_path / "own.npz", image=image, label=np.arange(20))
    train, test = (read_all(open_images(path, split, None)) for split in ("train", "test"))
    np.testing.assert_array_equal(test["label"], [9, 19])
    assert test["label"].dtype == np.int32
    np.testing.assert_array_equal(test["image"], image[[9, 19]])
    np.testing.assert_array_equal(train["image"], image[train["label"]])
    assert len(train["label"]) == 18


def test_floats_are_converted_to_uint8_and_a_missing_channel_axis_is_added(tmp_path: Path) -> None:
    levels = (np.arange(256) / 255).astype(np.float32).reshape(1, 16, 16)
    data = read_npz(save_npz(tmp_path / "own.npz", image=levels), None)
    np.testing.assert_array_equal(data["image"], np.arange(256).reshape(1, 16, 16, 1))
    assert list(data) == ["image"]


def test_images_of_an_npz_file_are_resized(tmp_path: Path) -> None:
    path = save_npz(tmp_path / "own.npz", image=np.full((2, 8, 12), 7, np.uint8))
    np.testing.assert_array_equal(read_npz(path, 4)["image"], np.full((2, 4, 4, 1), 7))
    with pytest.raises(
        InputError, match=r"image_size must be at most 8 for an image of .*own.npz of 12x8 pixels, got 9"
    ):
        read_npz(path, 9)


GOOD = np.zeros((4, 8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GOOD}, r"must contain an array named 'image', got \['images'\]"),
        ({"image": GOOD[0, 0]}, r"must have the shape \[n, h, w\] or .*, got \(8, 1\)"),
        ({"image": GOOD.transpose(0, 3, 1, 2)}, r"must have the shape .*, got \(4, 1, 8, 8\)"),
        ({"image": GOOD[:0]}, r"must have the shape .*, got \(0, 8, 8, 1\)"),
        ({"image": GOOD.astype(int)}, "must be uint8 or floats in .*, got int64"),
        ({"image": GOOD + 1.5}, r"floats of 'image' in .* must be in \[0, 1\], got 1.5 to 1.5"),
        ({"image": GOOD - 0.1}, r"must be in \[0, 1\], got -0.1 to -0.1"),
        ({"image": GOOD * np.nan}, r"must be in \[0, 1\], got nan to nan"),
        ({"image": GOOD, "label": [0, 1, 2]}, r"must have one label for each of 4 images, got \(3,\)"),
        ({"image": GOOD, "label": GOOD}, r"must have one label for each of 4 images, got \(4, 8, 8, 1\)"),
        ({"image": GOOD, "label": [0.0, 1.0, 0.5, 0.0]}, "must have an integer dtype, got float64"),
        ({"image": GOOD, "label": [0, -1, 2, 3]}, r"must be in \[0, 2\*\*31 - 2\], got -1 to 3"),
        ({"image": GOOD, "label": [0, 2**40, 2, 3]}, r"must be in \[0, 2\*\*31 - 2\], got 0 to 1099511627776"),
        ({"image": np.array([{}, None, 1, "a"], object)}, "cannot be read as an .npz file without pickled objects"),
        ({"image": GOOD, "label": np.array([{}, None, 1, "a"], object)}, "cannot be read as an .npz file"),
    ],
)
def test_error_states_what_is_invalid_in_an_npz_file(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_npz(save_npz(tmp_path / "own.npz", **arrays), None)


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_error_names_a_truncated_npz_file(tmp_path: Path, kept: float) -> None:
    path = save_npz(tmp_path / "truncated.npz", image=GOOD)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=r"truncated.npz cannot be read as an .npz file"):
        read_npz(path, None)


def test_error_names_an_npz_file_with_flipped_bits(tmp_path: Path) -> None:
    path = tmp_path / "flipped.npz"
    np.savez_compressed(path, image=np.random.default_rng(0).integers(0, 256, (9, 8, 8), np.uint8))
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"flipped.npz cannot be read as an .npz file"):
        read_npz(path, None)


def test_npy_file_with_the_suffix_npz_is_rejected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GOOD)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(InputError, match=r"a.npz cannot be read as an .npz file"):
        read_npz(tmp_path / "a.npz", None)
