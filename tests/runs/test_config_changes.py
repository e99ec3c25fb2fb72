"""What may change when a run is resumed, and how other changes are named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_changes import check_unchanged
from jaxgen.runs.config_json import RunDescription
from tests.runs.descriptions import EXAMPLE, description


def test_a_resumed_run_must_have_data_of_the_same_shapes_and_classes():
    config = RunConfig(REGISTRY["vae"].config())
    before, now = (RunDescription("vae", config, EXAMPLE | {"label": np.array([k], np.int32)}) for k in (2, 6))
    check_unchanged(before, before, Path("runs/x"))
    with pytest.raises(InputError, match=r"runs/x was trained on data with .*'classes': 3.*, not .*'classes': 7"):
        check_unchanged(before, now, Path("runs/x"))


def test_only_steps_and_the_folder_of_the_data_may_change(tmp_path):
    check_unchanged(description(), description(steps=9000, data_dir="elsewhere"), tmp_path)
    for change, option in [
        ({"seed": 1}, "--seed 0, not 1: a resumed run may differ only in --steps, --epochs, --patience and --data-dir"),
        ({"latent_dim": 3}, "--latent-dim 20, not 3"),
        ({"hidden": (3, 4)}, "--hidden 400, not 3 4"),
    ]:
        with pytest.raises(InputError, match=option):
            check_unchanged(description(), description(**change), tmp_path)
    with pytest.raises(InputError, match="model 'vae', not 'gan'"):
        check_unchanged(description(), description("gan"), tmp_path)


def test_option_of_a_model_with_the_name_of_one_of_the_run_is_compared_too():
    @dataclasses.dataclass(frozen=True)
    class Own:
        steps: int = 1

    before, now = (RunDescription("own", RunConfig(Own(steps)), EXAMPLE) for steps in (1, 2))
    with pytest.raises(InputError, match="--steps 1, not 2"):
        check_unchanged(before, now, Path("runs/x"))


def test_only_a_run_of_a_custom_model_is_resumed_with_one(tmp_path):
    custom = description()._replace(custom=True)
    check_unchanged(custom, custom, tmp_path)
    with pytest.raises(InputError, match=r"call jaxgen.load_run\(folder, model=model\)"):
        check_unchanged(custom, description(), tmp_path)
    with pytest.raises(InputError, match="was trained with the model that its family builds: resume it without"):
        check_unchanged(description(), custom, tmp_path)
