"""The trained generators of the repository can be read, are small, and say how they were made."""

from pathlib import Path

import jax
import pytest

from jaxgen.models import REGISTRY, build_model
from jaxgen.runs.exported_file import arrays_of, read_exported
from jaxgen.runs.loading import abstract_state
from jaxgen.runs.model_card import training_command
from jaxgen.training.leaves import first_difference

FILES = sorted(Path(__file__).parents[1].glob("notebooks/generators/*/model.safetensors"))


def test_there_is_a_generator():
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_a_generator_has_the_arrays_of_its_model_and_a_card_with_its_command(path):
    assert path.stat().st_size <= 1.5 * 2**20
    exported = read_exported(path)
    description = exported.description
    model = build_model(REGISTRY[description.family], description.config.model_config, description.example)
    like = arrays_of(abstract_state(model, description.config, description.example))
    left_out = tuple(f"{part}/" for part in exported.left_out)
    assert not first_difference(
        exported.arrays, {name: array for name, array in like.items() if not name.startswith(left_out)}
    )
    card = path.with_name("README.md").read_text()
    assert f"    {training_command(description)}\n" in card
    assert exported.step == description.config.steps
    assert "/" not in description.config.data
    assert all(jax.numpy.isfinite(array).all() for array in exported.arrays.values())
