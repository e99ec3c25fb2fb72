import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from jaxgen.data import image_folder
from jaxgen.data.folders import find_splits
from jaxgen.data.image_folder import ImageFolder, folder_splits, read_image
from jaxgen.data.streaming import Source, read_all
from jaxgen.errors import InputError
from jaxgen.models import vae
from jaxgen.runs import RunConfig
from jaxgen.runs.preparation import prepare_run

RED, GREEN = (255, 0, 0), (0, 255, 0)


def open_folder(path: Path, split: str, image_size: int | None) -> Source:
    return folder_splits(path, image_size)(split)


def save(path: Path, size: tuple[int, int] = (6, 6), color: Any = 0, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)
    return path


def save_noise(path: Path, size: int = 32, seed: int = 0) -> Path:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)).save(path)
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
    assert folder.class_names == ("cat", "dog", "eel")
    assert data["image"][:, 0, 0, 0].tolist() == [20, 10, 30, 40]
    assert data["label"].tolist() == [0, 1, 1, 2]
    assert folder.classes == 3


def test_a_tenth_of_each_class_belongs_to_the_test_split(tmp_path: Path) -> None:
    for name, count in (("a", 9), ("b", 31), ("c", 1)):
        for i in range(count):
            save(tmp_path / name / f"{i:02}.png", color=i)
    train, test = (read_all(open_folder(tmp_path, split, None)) for split in ("train", "test"))
    assert np.bincount(train["label"], minlength=3).tolist() == [8, 28, 1]
    assert np.bincount(test["label"], minlength=3).tolist() == [1, 3, 0]
    for label, count in enumerate((9, 31, 1)):
        levels = [*train["image"][train["label"] == label, 0, 0, 0], *test["image"][test["label"] == label, 0, 0, 0]]
        assert sorted(levels) == list(range(count))


def test_the_split_of_a_folder_does_not_depend_on_names_or_on_the_size_to_which_images_are_resized(
    tmp_path: Path,
) -> None:
    for i in range(30):
        save(tmp_path / "one" / f"{i:02}.png", color=8 * i)
        save(tmp_path / "other" / f"{29 - i:02}.png", color=8 * i)
    expected = sorted(values(open_folder(tmp_path / "one", "test", None)))
    assert len(expected) == 3
    assert sorted(values(open_folder(tmp_path / "other", "test", None))) == expected
    assert sorted(values(open_folder(tmp_path / "one", "test", 4))) == expected


def test_the_content_of_large_files_decides_the_split_by_their_beginning_and_their_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_folder, "HASHED_BYTES", 100)
    for i in range(20):
        save_noise(tmp_path / f"{i:02}.bmp", seed=i // 2)  # a header, and pixels: pairs of equal files
    digests, _ = ImageFolder(tmp_path, None).digests()
    assert len(set(digests)) == 10
    assert digests[::2] == digests[1::2]


def test_opening_a_folder_decodes_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(20):
        save(tmp_path / f"{i:02}.png", color=i)
    monkeypatch.setattr(Image.Image, "transpose", None)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    assert len(open_folder(tmp_path, "train", None)) == 18


def test_train_and_test_subfolders_are_the_splits(tmp_path: Path) -> None:
    for i, name in enumerate(["train/cat/1.png", "train/dog/1.png", "train/eel/1.png", "test/dog/2.png"]):
        save(tmp_path / name, color=i)
    assert values(open_folder(tmp_path, "train", None)) == [0, 1, 2]
    test = open_folder(tmp_path, "test", None)
    assert values(test) == [3]
    assert read_all(test)["label"].tolist() == [1]
    save(tmp_path / "test/fox/1.png")
    with pytest.raises(InputError, match=r"labels in .*test must be labels of the training images, got 'fox'"):
        open_folder(tmp_path, "test", None)


def test_unlabelled_test_images_for_labelled_training_images_are_rejected(tmp_path: Path) -> None:
    for name in ["train/cat/1.png", "train/dog/1.png", "test/1.png"]:
        save(tmp_path / name)
    for split in ("train", "test"):  # At the start of a training, not after it.
        with pytest.raises(
            InputError, match=r"images of .*test must have labels as the training images have: use subfolders, or put"
        ):
            open_folder(tmp_path, split, None)


def test_subfolder_train_without_a_subfolder_test_is_a_label(tmp_path: Path) -> None:
    for name in ["bus/1.png", "train/1.png"]:
        save(tmp_path / name)
    assert read_all(open_folder(tmp_path, "train", None))["label"].tolist() == [0, 1]


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
def test_every_orientation_gives_the_upright_image(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = np.kron(np.random.default_rng(0).integers(0, 2, (2, 3)) * 255, np.ones((8, 8))).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).convert("RGB").save(tmp_path / f"a.{suffix}", exif=exif, quality=100)
    # The first row and column of the stored array are these sides of the upright image (EXIF 2.32, table 6).
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored[::-1].T,
        7: stored[::-1, ::-1].T,
        8: stored[:, ::-1].T,
    }[orientation]
    image = read_all(ImageFolder(tmp_path, None))["image"][0, ..., 0]
    np.testing.assert_allclose(image.astype(int), upright, atol=10)


EXIF_VALUES = {
    "text": struct.pack("<HHI", 0x112, 2, 2) + b"6\0\0\0",
    "byte": struct.pack("<HHI", 0x112, 1, 1) + b"\6\0\0\0",
    "undefined": struct.pack("<HHI", 0x112, 7, 2) + b"\6\6\0\0",
    "float": struct.pack("<HHIf", 0x112, 11, 1, 6.5),
    "negative": struct.pack("<HHIi", 0x112, 9, 1, -6),
    "above 8": struct.pack("<HHIHH", 0x112, 3, 1, 9, 0),
    "zero": struct.pack("<HHIHH", 0x112, 3, 1, 0, 0),
    "of an unknown type": struct.pack("<HHIHH", 0x112, 99, 1, 6, 0),
    "outside the block": struct.pack("<HHII", 0x112, 5, 1, 10**6),
}


@pytest.mark.parametrize("kind", EXIF_VALUES)
def test_an_orientation_of_another_type_or_value_is_left_alone(tmp_path: Path, kind: str) -> None:
    save_with_exif(tmp_path / "a.jpg", b"II*\0\x08\0\0\0\x01\0" + EXIF_VALUES[kind] + bytes(4))
    assert ImageFolder(tmp_path, None).shape == (8, 12, 3)
    assert read_all(ImageFolder(tmp_path, None))["image"].shape == (1, 8, 12, 3)


@pytest.mark.parametrize("block", [b"", b"II", b"nonsense" * 4, b"II*\0\xff\xff\xff\xff"])
def test_a_damaged_exif_block_is_left_alone(tmp_path: Path, block: bytes) -> None:
    save_with_exif(tmp_path / "a.jpg", block)
    assert read_all(ImageFolder(tmp_path, None))["image"].shape == (1, 8, 12, 3)


def save_with_exif(path: Path, block: bytes) -> None:
    """A sound JPEG file with a given EXIF block."""
    file = io.BytesIO()
    Image.new("RGB", (12, 8), "red").save(file, "JPEG")
    jpeg, exif = file.getvalue(), b"Exif\0\0" + block
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "tiff", "webp", "WEBP"])
def test_lossless_formats_are_read_exactly(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    options = {"lossless": True} if suffix.lower() == "webp" else {}
    Image.fromarray(array).convert("L" if suffix != "gif" else "P").save(tmp_path / f"a.{suffix}", **options)
    image = read_all(ImageFolder(tmp_path, None))["image"][0]
    np.testing.assert_array_equal(image, np.broadcast_to(array[..., None], image.shape))


@pytest.mark.parametrize("suffix", ["gif", "webp", "tiff", "png"])
def test_the_first_frame_of_an_animation_is_read(tmp_path: Path, suffix: str) -> None:
    frames = [Image.new("RGB", (6, 6), color) for color in (RED, GREEN, (0, 0, 255))]
    options = {"lossless": True} if suffix == "webp" else {}
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], **options)
    image = read_all(ImageFolder(tmp_path, None))["image"]
    np.testing.assert_array_equal(image, np.broadcast_to(RED, (1, 6, 6, 3)))


@pytest.mark.parametrize(
    ("mode", "kind"), [("F", "floats"), ("I", "integers of 32 bits"), ("I;16S", "integers of 32 bits, or with a sign")]
)
def test_values_without_a_defined_white_are_refused_before_the_training(tmp_path: Path, mode: str, kind: str) -> None:
    array = np.full((6, 6), 77, {"F": "f4", "I": "i4", "I;16S": "i2"}[mode])
    if mode == "I;16S":
        unsigned = io.BytesIO()
        Image.fromarray(array.astype("u2")).save(unsigned, "TIFF", tiffinfo={339: 2})  # SampleFormat: with a sign.
        (tmp_path / "a.tiff").write_bytes(unsigned.getvalue())
    else:
        Image.fromarray(array).save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=rf"a.tiff cannot be read as an image .*are {kind}.*8 or 16 bits are read"):
        ImageFolder(tmp_path, None)


def test_values_of_12_bits_are_refused(tmp_path: Path) -> None:
    tags = {256: 2, 257: 2, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 2, 279: 6}  # Two rows of three bytes.
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    content = b"II*\0" + struct.pack("<I", 14) + bytes(range(6)) + struct.pack("<H", len(tags)) + entries + bytes(4)
    (tmp_path / "a.tiff").write_bytes(content)
    with pytest.raises(InputError, match=r"a.tiff cannot be read .*its values have 12 bits; 8 or 16 bits are read"):
        ImageFolder(tmp_path, None)


def png_of_16_bits(levels: np.ndarray, transparent: tuple[int, ...] | None = None) -> bytes:
    """A PNG file of grey levels [h, w] or of colours [h, w, 3], as the specification describes it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = levels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, 0 if levels.ndim == 2 else 2, 0, 0, 0)
    known = b"" if transparent is None else chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    body = chunk(b"IHDR", header) + known + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


RAMP = np.linspace(0, 65535, 256).reshape(16, 16).round().astype(int)


def test_white_of_16_bits_is_65535_and_the_notice_says_so(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(png_of_16_bits(RAMP + (RAMP == 0) * number))
    source = open_folder(tmp_path, "train", None)
    assert source.notice == "read 9 + 1 images, 10 of 16 bits, whose white is 65535"
    np.testing.assert_array_equal(source.read([0])["image"][0, ..., 0], np.arange(256).reshape(16, 16))
    (tmp_path / "colours.png").write_bytes(png_of_16_bits(np.stack([RAMP] * 3, -1)))
    assert "11 of 16 bits" in open_folder(tmp_path, "train", None).notice
    np.testing.assert_array_equal(
        ImageFolder(tmp_path, None).read([10])["image"][0, ..., 1], np.arange(256).reshape(16, 16)
    )


def test_values_of_8_bits_in_16_are_refused_rather_than_black(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of_16_bits(np.arange(256).reshape(16, 16)))
    with pytest.raises(InputError, match=r"a.png .* of 16 bits are at most 255, which is black, as white is 65535"):
        read_all(ImageFolder(tmp_path, None))
    (tmp_path / "a.png").write_bytes(png_of_16_bits(np.zeros((16, 16), int)))  # Black is black.
    assert not read_all(ImageFolder(tmp_path, None))["image"].any()


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_levels_of_16_bits_become_white(tmp_path: Path, channels: int) -> None:
    levels = RAMP if channels == 1 else np.stack([RAMP] * 3, -1)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(levels, (257 * 5,) * channels))
    expected = np.arange(256)
    expected[5] = 255
    found = read_all(ImageFolder(tmp_path, None))["image"][0]
    np.testing.assert_array_equal(found.reshape(256, channels), np.stack([expected] * channels, -1))


def test_formats_that_start_other_programs_are_not_decoded_under_the_suffix_of_another(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")
    with pytest.raises(InputError, match=r"a.png cannot be read as an image"):
        ImageFolder(tmp_path, None)


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
    with pytest.raises(InputError, match=r"must contain images: files that end in .bmp, .gif, .jpeg, "):
        open_folder(tmp_path, "train", None)
    save(tmp_path / "a.png", (6, 6))
    with pytest.raises(InputError, match="must have a class of at least 2 examples for a test split, got 1"):
        open_folder(tmp_path, "test", None)
    with pytest.raises(InputError, match=r"image_size must be at most 6 for .*a.png of 6x6 pixels, got 8"):
        open_folder(tmp_path, "train", 8)
    save(tmp_path / "b.png", (6, 9))
    with pytest.raises(
        InputError, match=r"must have the size of a.png, 6x6 pixels, got 6x9 for .*b.png; give an image size"
    ):
        open_folder(tmp_path, "train", None)
    save(tmp_path / "label" / "c.png")
    with pytest.raises(InputError, match=r"must have all images in subfolders \(the labels\) or none, got both"):
        open_folder(tmp_path, "train", 6)


def test_splits_with_different_image_shapes_are_rejected(tmp_path: Path) -> None:
    save(tmp_path / "train" / "a.png")
    save(tmp_path / "test" / "a.png", (7, 6))
    with pytest.raises(InputError, match=r"must have the shape of those in train \(6, 6, 1\), got \(6, 7, 1\); give"):
        open_folder(tmp_path, "test", None)


@pytest.mark.parametrize("coloured", ["train", "val", "test"])
def test_one_image_with_colours_makes_all_splits_rgb(tmp_path: Path, coloured: str) -> None:
    for name in ("train", "val", "test"):
        save(tmp_path / name / "a.png", color=9)
    save(tmp_path / coloured / "b.png", mode="RGB", color=RED)
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        images = read_all(open_folder(tmp_path, split, None))["image"]
        assert images.shape == (1 + (name == coloured), 6, 6, 3)
        assert (images[0] == 9).all()


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.9])
def test_error_names_a_truncated_image(tmp_path: Path, suffix: str, kept: float) -> None:
    save_noise(tmp_path / f"a.{suffix}")
    path = save_noise(tmp_path / f"truncated.{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InputError, match=f"truncated.{suffix} cannot be read as an image"):
        read_all(ImageFolder(tmp_path, None))


def test_error_names_an_image_with_flipped_bits(tmp_path: Path) -> None:
    path = save_noise(tmp_path / "a.png")
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a.png cannot be read as an image"):
        read_all(ImageFolder(tmp_path, None))


def test_the_number_of_pixels_is_compared_with_the_limit_before_decoding(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png")
    content = path.read_bytes()
    own, pillow = "a.png must have at most 67108864 pixels, got", "a.png cannot be read as an image"
    sizes = {(2**26 + 1, 1): own, (1, 2**26 + 1): own, (8193, 8192): own, (30_000, 30_000): pillow}
    for (width, height), sentence in sizes.items():
        header = b"IHDR" + struct.pack(">2I", width, height) + content[24:29]
        path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])
        with pytest.raises(InputError, match=sentence):
            ImageFolder(tmp_path, 4)


def test_a_sparse_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match=r"a.png must have at most 536870912 bytes, got 1099511627776"):
        ImageFolder(tmp_path, None)


# Notices and splits


def fill(folder: Path, classes: str, count: int) -> None:
    for label in classes:
        for i in range(count):
            save(folder / label / f"{i}.png", color=(i + ord(label)) % 256)


def labels_of(folder: Path, split: str) -> list[int]:
    return np.bincount(read_all(open_folder(folder, split, None))["label"]).tolist()


@pytest.mark.parametrize(
    ("train", "test"), [("train", "val"), ("Train", "VALID"), ("TRAIN", "Validation"), ("training", "testing")]
)
def test_split_folders_of_any_case_are_the_splits_and_not_labels(tmp_path: Path, train: str, test: str) -> None:
    fill(tmp_path / train, "abc", 5)
    fill(tmp_path / test, "abc", 2)
    assert labels_of(tmp_path, "train") == [5, 5, 5]
    assert labels_of(tmp_path, "test") == [2, 2, 2]
    assert open_folder(tmp_path, "train", None).notice == "read 15 + 6 images of 3 classes"


def test_validation_images_are_kept_apart_beside_a_test_folder(tmp_path: Path) -> None:
    for name, count in (("train", 5), ("val", 2), ("test", 3)):
        fill(tmp_path / name, "abc", count)
    assert [labels_of(tmp_path, split) for split in ("train", "validation", "test")] == [[5] * 3, [2] * 3, [3] * 3]
    assert open_folder(tmp_path, "test", None).notice == "read 15 + 9 images of 3 classes, 6 for validation"


@pytest.mark.parametrize("test_folder", [False, True], ids=["held out", "test folder"])
def test_training_looks_at_every_file_once_before_it_decodes_it(
    tmp_path: Path, test_folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("train", "test") if test_folder else ("",):
        fill(tmp_path / name, "ab", 5)
    looked_at: list[tuple[str, Path]] = []

    def count(name: str) -> None:
        function = getattr(image_folder, name)

        def counted(path: Path, **options: Any) -> Any:
            looked_at.append((name, path))
            return function(path, **options)

        monkeypatch.setattr(image_folder, name, counted)

    count("_header")
    count("_digest")
    prepare_run(tmp_path / "run", "vae", RunConfig(vae.Config(hidden=(4,)), data=str(tmp_path)))
    assert len(looked_at) == len(set(looked_at)) == 20


def test_the_only_subfolder_train_is_split(tmp_path: Path) -> None:
    fill(tmp_path / "train", "abc", 5)
    assert labels_of(tmp_path, "train") == [4, 4, 4]
    assert labels_of(tmp_path, "test") == [1, 1, 1]
    with pytest.raises(InputError, match="must have the subfolders train, val and test for a validation split"):
        open_folder(tmp_path, "validation", None)


def test_ambiguous_splits_are_refused(tmp_path: Path) -> None:
    fill(tmp_path / "val", "a", 1)
    fill(tmp_path / "test", "a", 1)
    with pytest.raises(InputError, match="must have a subfolder train beside its splits, got test, val"):
        open_folder(tmp_path, "train", None)
    fill(tmp_path / "train", "a", 1)
    fill(tmp_path / "valid", "a", 1)
    with pytest.raises(InputError, match="must have one subfolder for validation, got val and valid"):
        open_folder(tmp_path, "train", None)


def test_a_split_folder_without_readable_images_is_no_reason_to_read_the_others_as_classes(tmp_path: Path) -> None:
    fill(tmp_path / "test", "ab", 3)
    (tmp_path / "train").mkdir()
    with pytest.raises(InputError, match="must have a subfolder train beside its splits, got test"):
        open_folder(tmp_path, "train", None)
    (tmp_path / "train" / "a.heic").touch()
    with pytest.raises(InputError, match=r"train must contain images: .*, skipped 1: a.heic"):
        open_folder(tmp_path, "train", None)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (("cat/1.png", "dog/1.png", "test/cat/2.png"), "splits or classes .* got test beside cat, dog: rename test"),
        (("cat/1.png", "dog/1.png", "test/2.png"), "splits or classes .* got test beside cat, dog: rename test"),
        (("cat/1.png", "val/2.png", "test/3.png"), "splits or classes .* got test, val beside cat: rename test, val"),
        (("raw/1.png", "train/cat/2.png"), "splits or classes as its subfolders, got train beside raw"),
        (("test/1.png",), "must have a subfolder train beside its splits, got test"),
        (
            ("images/train/a/1.png", "images/val/a/2.png"),
            "subfolders train, val of .*images would be read as one class, 'images': give .*images as the data if",
        ),
        (("x/y/Train/1.png", "x/y/Test/2.png"), "subfolders Test, Train of .*y would be read as one class, 'x'"),
        (("cat/train/1.png", "dog/train/2.png"), "subfolders train of .*cat would be read as one class, 'cat'"),
    ],
)
def test_folders_that_may_be_splits_or_classes_are_refused(
    tmp_path: Path, files: tuple[str, ...], sentence: str
) -> None:
    for name in files:
        save(tmp_path / name)
    with pytest.raises(InputError, match=sentence):
        open_folder(tmp_path, "train", None)


def test_a_subfolder_of_a_class_with_the_name_of_a_split_beside_others_is_part_of_the_class(tmp_path: Path) -> None:
    for i, name in enumerate(("vehicle/train/1.png", "vehicle/bus/2.png", "animal/cat/3.png")):
        save(tmp_path / name, color=i)
    assert ImageFolder(tmp_path, None).class_names == ("animal", "vehicle")
    assert find_splits(tmp_path) == {}


def test_what_is_not_read_is_counted_and_named(tmp_path: Path) -> None:
    fill(tmp_path, "ab", 32)
    for name in ("a/x.heic", "c/y.svg", "notes.txt", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    expected = "read 58 + 6 images of 2 classes, skipped 3: a/x.heic, c/y.svg, notes.txt"
    assert [open_folder(tmp_path, split, None).notice for split in ("train", "test")] == [expected] * 2
    os.mkfifo(tmp_path / "a" / "pipe.png")
    (tmp_path / "b" / "lost.png").symlink_to("nowhere")
    (tmp_path / "a" / "loop.png").symlink_to("loop.png")
    assert open_folder(tmp_path, "train", None).notice.endswith("skipped 6: a/loop.png, a/pipe.png, a/x.heic, ...")


def test_files_outside_the_splits_are_counted_as_skipped(tmp_path: Path) -> None:
    for name in ("train", "test", "raw"):
        fill(tmp_path / name, "ab", 3)
    (tmp_path / "train" / "a" / "x.heic").touch()
    notice = open_folder(tmp_path, "train", None).notice
    assert notice.startswith("read 6 + 6 images of 2 classes, skipped 7: train/a/x.heic, raw/a/0.png, ")


def test_the_error_of_a_folder_without_images_names_what_it_has(tmp_path: Path) -> None:
    (tmp_path / "a.heic").touch()
    with pytest.raises(InputError, match=r"must contain images: .*, skipped 1: a.heic"):
        open_folder(tmp_path, "train", None)


# One file


def test_one_file_is_read_as_it_is_in_a_folder(tmp_path: Path) -> None:
    for name, array in (("grey", np.arange(30, dtype=np.uint8).reshape(5, 6)), ("rgb", np.ones((5, 6, 3), np.uint8))):
        folder = tmp_path / name
        folder.mkdir()
        Image.fromarray(array).save(folder / "image.png")
        np.testing.assert_array_equal(read_image(folder / "image.png"), read_all(ImageFolder(folder, None))["image"][0])


def test_shorter_side_of_one_file_is_reduced_with_its_aspect_ratio(tmp_path: Path) -> None:
    assert read_image(save(tmp_path / "wide.png", (40, 20)), shorter_side=10).shape == (10, 20, 1)
    assert read_image(save(tmp_path / "high.png", (21, 40), mode="RGB"), shorter_side=20).shape == (38, 20, 3)
    with pytest.raises(InputError, match=r"image_size must be at most 20 for .*wide.png of 40x20 pixels, got 21"):
        read_image(tmp_path / "wide.png", shorter_side=21)


def test_what_is_no_image_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("text")
    for path, sentence in ((tmp_path, "there is no image file"), (tmp_path / "text.png", "cannot be read as an image")):
        with pytest.raises(InputError, match=sentence):
            read_image(path)
