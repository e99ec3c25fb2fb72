"""Config files: those of runs give the same config again, and those written by hand are checked."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.runs import RunConfig
from jaxgen.runs.config import RunDescription, write_config
from jaxgen.runs.config_file import MAX_BYTES, apply_options, read_config_file

POINTS = {"point": np.zeros((1, 2), np.float32)}


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_config_of_a_run_gives_the_same_config_again(suffix, tmp_path):
    options = dataclasses.replace(PRESETS["wgan-gp"].config, hidden=(8, 4), learning_rate=3e-4, ema=0.99)
    config = RunConfig(options, data="ring", steps=7, seeds=3)
    write_config(tmp_path, RunDescription("gan", config, POINTS, preset="wgan-gp"))
    path = (tmp_path / "config.json").rename(tmp_path / f"other{suffix}")  # JSON is YAML as well.
    file = read_config_file(path)
    assert file.model == "wgan-gp"
    assert apply_options(file, REGISTRY["gan"], RunConfig(REGISTRY["gan"].config())) == config


def test_options_by_hand_replace_those_of_the_preset(tmp_path):
    path = tmp_path / "ring.yaml"
    path.write_text("model: wgan-gp\ndata: ring\nlearning-rate: 1e-3\nhidden: [16, 8]\nb2: 0\nsteps: 20\n")
    file = read_config_file(path)
    before = RunConfig(PRESETS["wgan-gp"].config, batch_size=32)
    expected = dataclasses.replace(PRESETS["wgan-gp"].config, learning_rate=1e-3, hidden=(16, 8), b2=0)
    assert apply_options(file, REGISTRY["gan"], before) == RunConfig(expected, data="ring", steps=20, batch_size=32)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("x.yaml", "data: ring", "must name the model"),
        ("x.yaml", "- vae", "must hold options and their values, got list"),
        ("x.yaml", "", "must hold options and their values, got NoneType"),
        ("x.yaml", "model: [vae", "cannot be read as yaml"),
        ("x.yaml", "model: !!python/object/apply:os.system [touch hacked]", "cannot be read as yaml"),
        ("x.yaml", "[" * 100_000, "cannot be read as yaml"),
        ("x.json", "[" * 100_000, "cannot be read as json"),
        ("x.json", '{"model": "vae"', "cannot be read as json"),
        ("x.json", "\\xff", "cannot be read as json"),
        ("x.txt", "model: vae", "must end in .json, .yaml, .yml"),
        ("x.yaml", "a" * (MAX_BYTES + 1), "must have at most"),
        ("x.json", '{"family": "vae", "config": []}', "is damaged"),
        ("x.json", '{"family": 3, "config": {"model_config": {}}}', "is damaged"),
        (
            "x.json",
            '{"family": "vae", "custom": true, "config": {"model_config": {}}}',
            "modules or functions of its own",
        ),
    ],
)
def test_files_that_are_no_config_are_refused(name, text, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    with pytest.raises(InputError, match=sentence):
        read_config_file(Path(name))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"learning_rte": 1e-3}, "there is no option 'learning_rte': did you mean 'learning_rate'?"),
        ({"model_config": {}}, "there is no option 'model_config'"),
        ({"learning_rate": "fast"}, "the option 'learning_rate' cannot be 'fast'"),
        ({"steps": "1e3"}, "the option 'steps' cannot be 1000.0"),
        ({"steps": 2.5}, "the option 'steps' cannot be 2.5"),
        ({"steps": -2}, "--steps must be at least 1, got -2"),
        ({"data": 3}, "the option 'data' cannot be 3"),
        ({"hidden": [1, "a"]}, "the option 'hidden' cannot be"),
        ({"beta": -1.0}, "beta must be finite and not negative, got -1.0"),
    ],
)
def test_options_that_do_not_exist_or_have_other_types_are_refused(options, sentence, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"model": "vae", **options}))
    with pytest.raises(InputError, match=f"x.json: {sentence}".replace("?", r"\?")):
        apply_options(read_config_file(path), REGISTRY["vae"], RunConfig(REGISTRY["vae"].config()))
