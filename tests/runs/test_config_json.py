"""config.json: what is written is read again, and damage is named."""

import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, Family
from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_changes import check_unchanged
from jaxgen.runs.config_json import RunDescription, check_options, read_config, write_config
from tests.runs.descriptions import EXAMPLE, description


@dataclass(frozen=True)
class OutsideConfig:
    """Options of all types that options have."""

    number: int = 1
    rate: float = 0.5
    switch: bool = False
    name: str = "a"
    widths: tuple[int, ...] = (3, 4)
    range: tuple[int, float] = (0, 0.5)
    optional: float | None = None


OUTSIDE = Family("outside", OutsideConfig, lambda config, example: None, "is not part of the package")


def set_options(text, options):
    content = json.loads(text)
    content["config"]["model_config"] = options
    return json.dumps(content)


def content_of(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("family", REGISTRY)
def test_a_description_of_each_family_is_read_as_it_was_written(family, tmp_path):
    config = RunConfig(REGISTRY[family].config(), steps=7, seeds=3, data="ring")
    written = RunDescription(family, config, EXAMPLE)
    write_config(tmp_path, written)
    read = read_config(tmp_path)
    assert read[:2] == written[:2]
    assert read.custom is False
    assert {name: (a.shape, a.dtype) for name, a in read.example.items()} == {
        name: (a.shape, a.dtype) for name, a in EXAMPLE.items()
    }
    assert read.example["label"].max() == 9


def test_the_file_holds_family_config_example_and_versions(tmp_path):
    write_config(tmp_path, description(latent_dim=5, steps=7, seeds=2))
    content = content_of(tmp_path)
    assert set(content) == {
        "format",
        "family",
        "preset",
        "custom",
        "config",
        "example",
        "class_names",
        "standardization",
        "imported",
        "versions",
        "sha256",
    }
    assert (content["family"], content["custom"]) == ("vae", False)
    assert set(content["config"]) == {field.name for field in dataclasses.fields(RunConfig)}
    assert (content["config"]["steps"], content["config"]["seeds"]) == (7, 2)
    assert content["config"]["model_config"]["latent_dim"] == 5
    assert content["example"] == {"image": {"shape": [8, 8, 1], "dtype": "uint8"}, "label": {"classes": 10}}


def test_versions_of_the_libraries_are_stored(tmp_path):
    write_config(tmp_path, description())
    versions = content_of(tmp_path)["versions"]
    assert set(versions) == {"python", "jaxgen", "jax", "jaxlib", "flax", "optax", "numpy"}
    assert versions["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is damaged"),
        (lambda text: "[]", "is damaged"),
        (lambda text: text.replace('"vae"', "3"), "is damaged"),
        (lambda text: text.replace('"vae"', '"veae"'), "is of the family 'veae', which is not part of jaxgen"),
        (lambda text: text.replace('"latent_dim": 20', '"latent_dim": "x"'), "must be an integer, got 'x'"),
        (lambda text: text.replace('"latent_dim": 20', '"latent_dim": -1'), "latent_dim"),
        (lambda text: text.replace('"latent_dim": 20', '"latent_dimm": 20'), "did you mean 'latent_dim'?"),
        (lambda text: text.replace('"steps": 5000', '"stepps": 5000'), "did you mean 'steps'?"),
        (lambda text: text.replace('"steps": 5000', '"steps": true'), "'steps' must be an integer, got True"),
        (lambda text: set_options(text, None), "'model_config' must be the options of the model, got None"),
        (lambda text: set_options(text, [1]), "'model_config' must be the options of the model, got [1]"),
        (lambda text: text.replace('"uint8"', '"object"'), "dtype"),
    ],
)
def test_damage_is_named(damage, message, tmp_path):
    write_config(tmp_path, description())
    path = tmp_path / "config.json"
    before = path.read_text()
    path.write_text(damage(before))
    assert path.read_text() != before
    with pytest.raises(InputError, match=r".") as error:
        read_config(tmp_path)
    assert message in str(error.value)
    assert "config.json" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"steps": 5000', '"steps": 7048'),
        ('"patience": null', '"patience": 1'),
        ('"epochs": null', '"epochs": 2.5'),
        ('"data_dir": null', '"data_dir": "elsewhere"'),
        ('"learning_rate": 0.001', '"learning_rate": 0.401'),
        ('"jaxlib"', '"jaxlic"'),
        ('"sha256"', '"sha257"'),
    ],
)
def test_every_change_of_the_content_is_noticed(before, after, tmp_path):
    """Also of an option that may differ in a resumed run, and is not compared with the checkpoints."""
    write_config(tmp_path, description())
    path = tmp_path / "config.json"
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    with pytest.raises(InputError, match=r"config\.json was changed or damaged .*: put back what it was, or .*"):
        read_config(tmp_path)
    path.write_text(json.dumps(json.loads(text), indent=None))  # White space is no content.
    assert read_config(tmp_path).config == description().config


def test_a_folder_without_a_config_is_not_a_run_folder(tmp_path):
    with pytest.raises(InputError, match=r"is not a run folder: it has no config\.json"):
        read_config(tmp_path)


def test_a_folder_of_runs_is_refused_with_the_names_of_some(tmp_path):
    for number in range(7):
        (tmp_path / f"beta={number}").mkdir()
        write_config(tmp_path / f"beta={number}", description())
    names = ", ".join(f"beta={number}" for number in range(5))
    with pytest.raises(InputError, match=rf"config\.json; run folders in it are {names} and 2 more$"):
        read_config(tmp_path)


class TestFamilyFromOutside:
    @pytest.fixture
    def written(self):
        return RunDescription(
            "outside", RunConfig(OutsideConfig(widths=(7,), range=(2, 2.5), optional=1.5), steps=3), EXAMPLE
        )

    def test_its_options_are_read_as_they_were_written(self, written, tmp_path):
        write_config(tmp_path, written)
        assert read_config(tmp_path, family=OUTSIDE)[:2] == written[:2]

    def test_it_must_be_given(self, written, tmp_path):
        write_config(tmp_path, written)
        with pytest.raises(InputError, match=r"of the family 'outside', which is not part of jaxgen: .* --family"):
            read_config(tmp_path)

    def test_it_must_be_that_of_the_run(self, written, tmp_path):
        write_config(tmp_path, written)
        with pytest.raises(InputError, match="holds a run of the model 'outside', not 'vae'"):
            read_config(tmp_path, family=REGISTRY["vae"])

    @pytest.mark.parametrize(
        ("option", "value"), [("rate", "x"), ("switch", 1), ("widths", [0.5]), ("range", [1]), ("range", 1),
         ("optional", "x"), ("number", 1.5)],
    )  # fmt: skip
    def test_values_of_other_types_are_refused(self, option, value, written, tmp_path):
        write_config(tmp_path, written)
        path = tmp_path / "config.json"
        path.write_text(set_options(path.read_text(), {option: value}))
        with pytest.raises(InputError, match=f"'{option}' must be (an?|true or false)"):
            read_config(tmp_path, family=OUTSIDE)

    @pytest.mark.parametrize("name", ["a_family_to_import", "a_family_to_import.py", "a_family_to_import:FAMILY"])
    def test_reading_does_not_import_what_the_file_names(self, name, tmp_path, monkeypatch):
        (tmp_path / "a_family_to_import.py").write_text("raise AssertionError('this file has been executed')")
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(tmp_path)
        write_config(tmp_path, RunDescription(name, RunConfig(OutsideConfig()), EXAMPLE))
        with pytest.raises(InputError, match="which is not part of jaxgen"):
            read_config(tmp_path)
        write_config(tmp_path, RunDescription(name, RunConfig(OutsideConfig()), EXAMPLE, custom=True))
        assert read_config(tmp_path).family == name
        assert "a_family_to_import" not in sys.modules


class TestOptions:
    @pytest.mark.parametrize("custom", [True, False])
    def test_they_must_be_those_of_the_family(self, custom):
        @dataclass(frozen=True)
        class More(OutsideConfig):
            more: int = 1

        check_options(OUTSIDE, RunConfig(OutsideConfig()), custom=custom)
        accepted = "None or a outside Config" if custom else "a outside Config"
        for options in ({"number": 1}, REGISTRY["vae"].config(), More(), OutsideConfig):
            with pytest.raises(InputError, match=f"model_config must be {accepted}, got ") as error:
                check_options(OUTSIDE, RunConfig(options), custom=custom)
            assert f"got {options!r}"[:50] in str(error.value)

    def test_only_those_of_a_custom_model_may_be_none(self):
        check_options(OUTSIDE, RunConfig(None), custom=True)
        with pytest.raises(InputError, match="model_config must be a outside Config, got None"):
            check_options(OUTSIDE, RunConfig(None), custom=False)

    def test_they_must_not_be_computed(self):
        @dataclass(frozen=True)
        class Computed:
            width: int = 4
            area: int = dataclasses.field(init=False, default=16)

        with pytest.raises(InputError, match="the field 'area' of Computed must not have init=False: use a property"):
            check_options(OUTSIDE._replace(config=Computed), RunConfig(Computed()), custom=False)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"rate": float("inf")}, "--rate must be finite, got inf"),
            ({"optional": float("nan")}, "--optional must be finite, got nan"),
            ({"range": (1, -float("inf"))}, "--range must be finite, got 1 -inf"),
        ],
    )
    def test_numbers_must_be_finite(self, options, message):
        with pytest.raises(InputError, match=message):
            check_options(OUTSIDE, RunConfig(OutsideConfig(**options)), custom=False)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"number": np.int64(2)}, "--number must be of the Python type int, got np.int64.2."),
            ({"number": "abc"}, "--number must be of the Python type int, got 'abc'"),
            ({"rate": np.float32(0.5)}, "--rate must be of the Python type float, got np.float32"),
            ({"rate": 10**400}, "--rate must be of the Python type float, got 1000"),
            ({"widths": (1,) * 257}, "--widths must have at most 256 values, got 257"),
            ({"range": [1, 2]}, r"--range must be of the Python type tuple\[.*\], got \[1, 2\]"),
        ],
    )
    def test_values_that_json_would_not_give_back_are_refused(self, options, message):
        with pytest.raises(InputError, match=message):
            check_options(OUTSIDE, RunConfig(OutsideConfig(**options)), custom=False)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"steps": 2.0}, "--steps must be of the Python type int, got 2.0"),
            ({"seed": True}, "--seed must be of the Python type int, got True"),
            ({"data": Path("digits")}, "--data must be of the Python type str, got PosixPath"),
        ],
    )
    def test_values_of_the_run_that_json_would_not_give_back_are_refused(self, options, message):
        with pytest.raises(InputError, match=message):
            check_options(OUTSIDE, RunConfig(OutsideConfig(), **options), custom=False)


def test_class_names_are_kept_and_must_be_those_of_a_resumed_run(tmp_path):
    names = (*"abcdefghi", "j \x1b[2J")
    before = description()._replace(class_names=names)
    write_config(tmp_path, before)
    assert read_config(tmp_path).class_names == names
    with pytest.raises(InputError, match=r"runs/x was trained on data with the classes a, b, .*, not b, a, "):
        check_unchanged(before, before._replace(class_names=("b", "a", *names[2:])), Path("runs/x"))


@pytest.mark.parametrize("names", ["abcdefghij", ["a"], [None] * 10, {"a": 1}])
def test_class_names_that_are_not_a_list_of_as_many_names_as_classes_are_refused(tmp_path, names):
    write_config(tmp_path, description())
    (tmp_path / "config.json").write_text(json.dumps(content_of(tmp_path) | {"class_names": names}))
    with pytest.raises(InputError, match=r"config.json: the class names must be"):
        read_config(tmp_path)


def test_a_deeply_nested_file_is_damaged(tmp_path):
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"config.json is damaged, .*RecursionError"):
        read_config(tmp_path)


class TestCustomModel:
    def test_options_of_an_unknown_family_are_a_dict(self, tmp_path):
        write_config(tmp_path, RunDescription("outside", RunConfig(OutsideConfig(), steps=3), EXAMPLE, custom=True))
        read = read_config(tmp_path)
        assert (read.family, read.custom, read.config.steps) == ("outside", True, 3)
        assert read.config.model_config == dataclasses.asdict(OutsideConfig()) | {"widths": [3, 4], "range": [0, 0.5]}

    def test_options_of_a_known_family_are_its_config(self, tmp_path):
        written = description()._replace(custom=True)
        write_config(tmp_path, written)
        assert (read_config(tmp_path)[:2], read_config(tmp_path).custom) == (written[:2], True)

    def test_a_model_needs_no_options(self, tmp_path):
        write_config(tmp_path, RunDescription("mine", RunConfig(None, steps=3), EXAMPLE, custom=True))
        assert read_config(tmp_path).config == RunConfig(None, steps=3)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (2, r"config\.json has the format 2, of a newer jaxgen than this one, .*: install a newer version"),
        (0, r"config\.json is damaged"),
        (None, r"config\.json is damaged"),
        (True, r"config\.json is damaged"),
        ("1", r"config\.json is damaged"),
    ],
)
def test_a_format_that_is_not_known_is_refused(version, message, tmp_path):
    write_config(tmp_path, description())
    content = content_of(tmp_path) | {"format": version}
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_config(tmp_path)


def test_a_pipe_and_a_sparse_file_in_place_of_the_config_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(InputError, match=r"config\.json must be a regular file"):
        read_config(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").touch()
    os.truncate(tmp_path / "config.json", 10 * 2**30)
    with pytest.raises(InputError, match=r"config\.json must have at most"):
        read_config(tmp_path)
