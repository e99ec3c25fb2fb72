"""Config files: those of runs give the same config again, and those written by hand are checked."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.runs import RunConfig
from jaxgen.runs.config_file import MAX_BYTES, MAX_YAML_BYTES, ConfigFile, apply_options, read_config_file
from jaxgen.runs.config_json import RunDescription, write_config

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
        ("x.yaml", "model: !!python/object/apply:os.system [touch hacked]", "have no place in a config"),
        ("x.yaml", "[" * 50_000, "must have at most 8 levels"),
        ("x.json", "[" * 100_000, "cannot be read as json"),
        ("x.json", '{"model": "vae"', "cannot be read as json"),
        ("x.json", "\\xff", "cannot be read as json"),
        ("x.txt", "model: vae", "must end in .json, .yaml, .yml"),
        ("x.json", "a" * (MAX_BYTES + 1), "must have at most"),
        ("x.yaml", "a" * (MAX_YAML_BYTES + 1), "must have at most"),
        ("x.json", '{"format": 1, "family": "vae", "config": []}', "is damaged"),
        ("x.json", '{"format": 1, "family": 3, "config": {"model_config": {}}}', "is damaged"),
        ("x.json", '{"format": 99, "family": "vae", "config": {"model_config": {}}}', "has the format 99, of a newer"),
        ("x.yaml", "{format: 99, family: vae, config: {model_config: {}}}", "has the format 99, of a newer"),
        ("x.json", '{"format": "1", "family": "vae", "config": {"model_config": {}}}', "is damaged"),
        ("x.json", '{"family": "vae", "config": {"model_config": {}}}', "is damaged"),
        ("x.yaml", "model: vae\nsteps: &a 3", "anchors, aliases and tags have no place in a config"),
        ("x.yaml", "model: !!int '1:2:3'", "anchors, aliases and tags have no place in a config"),
        ("x.yaml", "model: vae\nbeta: 1\nbeta: 4", "'beta' is given twice"),
        ("x.yaml", "model: vae\nlearning-rate: 1\nlearning_rate: 4", "'learning_rate' is given twice"),
        ("x.json", '{"model": "vae", "beta": 1, "beta": 4}', "'beta' is given twice"),
        (
            "x.json",
            '{"family": "vae", "config": {"steps": 1, "steps": 2, "model_config": {}}}',
            "'steps' is given twice",
        ),
        ("x.yaml", "[a, b]: 1\nmodel: vae", "cannot be read as yaml"),
        (
            "x.json",
            '{"format": 1, "family": "vae", "custom": true, "config": {"model_config": {}}}',
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
        ({"lr": 1e-3}, "there is no option 'lr': did you mean 'learning_rate'?"),
        ({"latent": 3}, "there is no option 'latent': did you mean 'latent_dim'?"),
        ({"model_config": {}}, "there is no option 'model_config'"),
        ({"learning_rate": "fast"}, "'learning_rate' must be a number or null, got 'fast'"),
        ({"steps": "1e3"}, "'steps' must be an integer, got '1e3'"),
        ({"steps": 2.5}, "'steps' must be an integer, got 2.5"),
        ({"steps": 1e3}, "'steps' must be an integer, got 1000.0"),
        ({"steps": True}, "'steps' must be an integer, got True"),
        ({"steps": {"a": 1}}, "'steps' must be an integer, got {'a': 1}"),
        ({"seeds": [1]}, r"'seeds' must be an integer or null, got \[1\]"),
        ({"flip": "yes"}, "'flip' must be true or false, got 'yes'"),
        ({"precision": 16}, "'precision' must be one of float32, bfloat16, got 16"),
        ({"steps": -2}, "--steps must be at least 1, got -2"),
        ({"data": 3}, "'data' must be a text, got 3"),
        ({"hidden": [1, "a"]}, r"'hidden' must be a list of integers, got \[1, 'a'\]"),
        ({"hidden": 16}, "'hidden' must be a list of integers, got 16"),
        ({"hidden": [16] * 100_000}, "'hidden' must have at most 256 values, got 100000"),
        ({"beta": -1.0}, "beta must be finite and not negative, got -1.0"),
    ],
)
def test_options_that_do_not_exist_or_have_other_types_are_refused(options, sentence, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"model": "vae", **options}))
    with pytest.raises(InputError, match=f"x.json: {sentence}".replace("?", r"\?")):
        apply_options(read_config_file(path), REGISTRY["vae"], RunConfig(REGISTRY["vae"].config()))


@pytest.mark.parametrize(
    ("name", "text"), [("x.json", '{"model": "vae", "steps": 3}'), ("x.yaml", "model: vae\nsteps: 3")]
)
def test_byte_order_mark_at_the_beginning_is_skipped(name, text, tmp_path):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8-sig")
    assert read_config_file(path)[1:] == ("vae", {"steps": 3})


def bomb(levels: int) -> str:
    """YAML in which each level has nine aliases of the level below: 9^levels values in a few hundred characters."""
    lines = ["hidden:", "  - &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"  - &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, levels)]
    return "\n".join(["model: vae", *lines])


def test_aliases_that_stand_for_many_values_are_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text(bomb(5))
    with pytest.raises(InputError, match="anchors, aliases and tags have no place in a config") as error:
        apply_options(read_config_file(path), REGISTRY["vae"], RunConfig(REGISTRY["vae"].config()))
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("-2.5E+4", -2.5e4),
        (".5", 0.5),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("2001-01-01", "2001-01-01"),
        ("yes", "yes"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("'12'", "12"),
        ("<<", "<<"),
    ],
)
def test_values_of_yaml_are_those_of_its_core_schema(text, value, tmp_path):
    """YAML 1.2, section 10.3.2, but for octal and hexadecimal numbers: no dates, and no numbers with base 60."""
    path = tmp_path / "x.yaml"
    path.write_text(f"model: vae\nbeta: {text}")
    (found,) = read_config_file(path).options.values()
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("value", [[[0] * 2000] * 2000, "x" * 10**6, 10**4290], ids=["list", "text", "integer"])
def test_refused_values_are_quoted_in_part(value, tmp_path):
    path = tmp_path / "x.json"
    file = ConfigFile(path, "vae", {"hidden": value})
    with pytest.raises(InputError, match="'hidden' must be a list of integers, got") as error:
        apply_options(file, REGISTRY["vae"], RunConfig(REGISTRY["vae"].config()))
    assert len(str(error.value)) < 500
