"""Sets of images to compare: folders, files and splits are opened whole, and what is none is refused."""

import numpy as np
import pytest
from PIL import Image

from jaxgen.data.image_sets import open_image_set
from jaxgen.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 1), dtype=np.uint8)


def image(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.squeeze(-1)).save(path)


def test_all_images_of_a_folder_are_opened_whatever_its_subfolders(tmp_path):
    for number, pixels in enumerate(IMAGES):
        image(tmp_path / ("train" if number < 5 else "test") / f"{number}.png", pixels)
    found = open_image_set(str(tmp_path)).data["image"]
    assert sorted(map(bytes, found)) == sorted(map(bytes, IMAGES))


@pytest.mark.parametrize("name", ["image", "samples"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_of_files_are_opened_as_bytes(tmp_path, name, dtype):
    array = IMAGES if dtype == np.uint8 else IMAGES / np.float32(255)
    np.savez(tmp_path / "a.npz", **{name: array, "label": np.zeros(7)})
    np.save(tmp_path / "b.npy", array[..., 0])
    for file in ("a.npz", "b.npy"):
        np.testing.assert_array_equal(open_image_set(str(tmp_path / file)).data["image"], IMAGES)


def test_images_are_resized_where_a_size_is_given(tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 8, 6, 3), 77, np.uint8))
    found = open_image_set(str(tmp_path / "a.npy"), image_size=4).data["image"]
    np.testing.assert_array_equal(found, np.full((2, 4, 4, 3), 77))


def test_a_split_of_a_data_set_is_opened_by_its_name():
    assert len(open_image_set("digits:test").data["image"]) == 360
    assert len(open_image_set("digits").data["image"]) == 1437


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "images must be a folder, an .npz or .npy file, or a data set such as mnist:test, got 'nothing'"),
        ("nothing.npz", "there is no file 'nothing.npz'"),
        ("digits:tset", "the split of digits must be one of train, test, validation, got 'tset'"),
        ("ring", "metrics of features are of images, and ring are points"),
    ],
)
def test_what_is_no_set_of_images_is_refused(name, message):
    with pytest.raises(InputError) as error:
        open_image_set(name)
    assert message in str(error.value)


def test_empty_mixed_and_damaged_sets_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    image(tmp_path / "mixed" / "a.png", IMAGES[0])
    image(tmp_path / "mixed" / "b.png", IMAGES[0, :3])
    np.savez(tmp_path / "seeds.npz", samples=np.zeros((2, 3, 5, 4, 1), np.uint8))
    np.savez(tmp_path / "other.npz", pixels=IMAGES, masks=IMAGES)
    np.save(tmp_path / "cut.npy", IMAGES)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-3])
    np.save(tmp_path / "objects.npy", np.array([{}, {}], object), allow_pickle=True)
    (tmp_path / "text.npy").write_bytes(b"hello world")
    np.save(tmp_path / "none.npy", IMAGES[:0])
    expected = {
        "empty": "must contain images",
        "mixed": "all images must have the size of a.png",
        "seeds.npz": "'samples' in",
        "other.npz": r"named 'image' or 'samples', or a single array, got \['masks', 'pixels'\]; write it by",
        "cut.npy": "cannot be read as an .npy file",
        "objects.npy": "cannot be read as an .npy file without pickled objects",
        "text.npy": r"cannot be read as an \.npy file without pickled objects \(the magic string is not correct",
        "none.npy": "must have the shape",
    }
    for name, message in expected.items():
        with pytest.raises(InputError, match=message):
            open_image_set(str(tmp_path / name))
