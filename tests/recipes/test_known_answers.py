"""Changes of real images: none at strength 0, and what their names say at others."""

import numpy as np
import pytest

from jaxgen.recipes.known_answers import CHANGES, HalvedData, blurred, with_copies, with_noise, without_classes

GENERATOR = np.random.default_rng(0)
DATA = HalvedData(
    reference=GENERATOR.integers(0, 256, (40, 6, 6, 1), dtype=np.uint8),
    images=GENERATOR.integers(0, 256, (50, 6, 6, 1), dtype=np.uint8),
    labels=np.arange(50) % 10,
    held_out=GENERATOR.integers(0, 256, (9, 6, 6, 1), dtype=np.uint8),
)


def contained(images, others):
    """Whether each image is one of the others."""
    known = set(map(bytes, others))
    return np.array([bytes(image) in known for image in images])


@pytest.mark.parametrize("name", CHANGES)
def test_strength_zero_changes_nothing_and_every_strength_keeps_the_number(name):
    change, strengths = CHANGES[name]
    np.testing.assert_array_equal(change(np.random.default_rng(1), DATA, 0.0), DATA.images)
    assert [len(change(np.random.default_rng(1), DATA, strength)) for strength in strengths[:4]] == [50] * 4


def test_missing_classes_are_the_last_ones_and_others_take_their_places():
    found = without_classes(np.random.default_rng(1), DATA, 4)
    assert contained(found, DATA.images[DATA.labels < 6]).all()
    assert contained(DATA.images[DATA.labels < 6], found).all()


def test_copies_are_as_many_different_images_of_the_reference_as_the_share():
    found = with_copies(np.random.default_rng(1), DATA, 0.5)
    copies = contained(found, DATA.reference)
    assert copies.sum() == 25
    assert len(set(map(bytes, found[copies]))) == 25
    assert contained(found[~copies], DATA.images).all()


def test_a_blur_keeps_constant_images_and_lowers_the_deviation_of_others():
    constant = DATA._replace(images=np.full_like(DATA.images, 77))
    np.testing.assert_array_equal(blurred(np.random.default_rng(1), constant, 1.5), constant.images)
    deviations = [blurred(np.random.default_rng(1), DATA, strength).std() for strength in (0.0, 0.5, 1.0, 2.0)]
    assert deviations == sorted(deviations, reverse=True)


def test_noise_has_the_deviation_of_its_strength():
    middle = DATA._replace(images=np.full((50, 20, 20, 1), 128, np.uint8))
    found = with_noise(np.random.default_rng(1), middle, 0.1).astype(float)
    assert found.std() == pytest.approx(25.5, rel=0.02)
    assert found.mean() == pytest.approx(128, abs=1)
