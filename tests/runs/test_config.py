"""config.json: what is written comes back, and what has been damaged is named."""

import json

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs.config import RunConfig, RunDescription, check_unchanged, read_config, write_config

EXAMPLE = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9], np.int32)}


def asked(family="vae", **changes):
    config = {name: changes.pop(name) for name in ("latent", "hidden", "learning_rate") if name in changes}
    return RunDescription(family, RunConfig(model_config=REGISTRY[family].config(**config), **changes), EXAMPLE)


@pytest.mark.parametrize("family", REGISTRY)
def test_what_is_written_is_read(family, tmp_path):
    written = RunDescription(
        family, RunConfig(model_config=REGISTRY[family].config(), steps=7, seeds=3, data="ring"), EXAMPLE
    )
    write_config(tmp_path, written)
    read = read_config(tmp_path)
    assert read[:2] == written[:2]
    assert {name: (a.shape, a.dtype) for name, a in read.example.items()} == {
        name: (a.shape, a.dtype) for name, a in EXAMPLE.items()
    }
    assert read.example["label"].max() == 9


@pytest.mark.parametrize(
    ("example", "gone", "kept"),
    [
        (EXAMPLE, "hidden", {"width": 32, "b1": 0.5}),
        ({"point": np.zeros((1, 2), np.float32)}, "width", {"hidden": (64, 64), "b1": 0.5}),
    ],
)
def test_choices_that_were_once_saved_though_they_did_not_apply_are_left_out(example, gone, kept, tmp_path):
    write_config(
        tmp_path, RunDescription("gan", RunConfig(model_config=REGISTRY["gan"].config(learning_rate=0.125)), example)
    )
    path = tmp_path / "config.json"
    content = json.loads(path.read_text())
    content["settings"]["config"] |= {"hidden": [64, 64], "width": 32, "b1": 0.5}
    path.write_text(json.dumps(content))
    config = read_config(tmp_path).config.model_config
    assert (getattr(config, gone), config.learning_rate) == (None, 0.125)
    assert {name: getattr(config, name) for name in kept} == kept
    REGISTRY["gan"].build(config, example)


def test_versions_of_the_libraries_are_kept(tmp_path):
    write_config(tmp_path, asked())
    versions = json.loads((tmp_path / "config.json").read_text())["versions"]
    assert set(versions) == {"python", "jaxgen", "jax", "jaxlib", "flax", "optax", "numpy"}
    assert versions["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda text: "[]", "is damaged"),
        (lambda text: text.replace('"vae"', '"veae"'), "did you mean 'vae'?"),
        (lambda text: text.replace('"latent": 20', '"latent": "x"'), "the setting 'latent' cannot be 'x'"),
        (lambda text: text.replace('"latent": 20', '"latent": -1'), "latent"),
        (lambda text: text.replace('"steps": 5000', '"stepps": 5000'), "did you mean 'steps'?"),
        (lambda text: text.replace('"steps": 5000', '"steps": true'), "the setting 'steps' cannot be True"),
        (lambda text: text.replace('"uint8"', '"object"'), "dtype"),
    ],
)
def test_damage_is_named(damage, said, tmp_path):
    write_config(tmp_path, asked())
    path = tmp_path / "config.json"
    before = path.read_text()
    path.write_text(damage(before))
    assert path.read_text() != before
    with pytest.raises(InputError, match=r".") as error:
        read_config(tmp_path)
    assert said in str(error.value)
    assert "config.json" in str(error.value)


def test_only_steps_may_change(tmp_path):
    check_unchanged(asked(), asked(steps=9000), tmp_path)
    for change, option in [
        ({"seed": 1}, "--seed 0"),
        ({"latent": 3}, "--latent-dim 20"),
        ({"hidden": (3, 4)}, "--hidden 400"),
    ]:
        with pytest.raises(InputError, match=option):
            check_unchanged(asked(), asked(**change), tmp_path)
    with pytest.raises(InputError, match="model 'vae', not 'gan'"):
        check_unchanged(asked(), asked("gan"), tmp_path)


@pytest.mark.parametrize("name", ["steps", "batch_size", "seeds", "log_every", "checkpoint_every", "image_every"])
def test_counts_are_positive(name):
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be at least 1, got 0"):
        asked(**{name: 0})
