import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models.preprocessing import is_image, preprocess


def test_bytes_are_divided_by_255() -> None:
    every_byte = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    values = preprocess({"image": every_byte})
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(np.ravel(values), np.arange(256) / 255, rtol=1e-7)
    assert (values.min(), values.max()) == (0, 1)


@pytest.mark.parametrize(("name", "shape", "lowest"), [("image", (3, 4, 4, 1), 0), ("point", (3, 2), -9)])
def test_floats_are_unchanged(name: str, shape: tuple[int, ...], lowest: float) -> None:
    values = np.random.default_rng(0).uniform(lowest, 1, shape).astype(np.float32)
    np.testing.assert_array_equal(preprocess({name: values, "label": np.zeros(3)}), values)


def test_batch_is_of_images_if_it_has_an_array_image() -> None:
    assert is_image({"image": 0, "label": 0})
    assert not is_image({"point": 0})
    with pytest.raises(InputError, match=r"must have an array 'image' or 'point', got \['label', 'x'\]"):
        preprocess({"x": np.zeros(3), "label": np.zeros(3)})
