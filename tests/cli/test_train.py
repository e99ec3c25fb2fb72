"""`jaxgen train`: options, resumed runs, presets, images of the user, and the default run folder."""

import dataclasses
import json
import re
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.cli.train import _default_folder
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.runs import load_run

SMALL = ["--hidden", "16", "--latent-dim", "2", "--batch-size", "8"]


@pytest.mark.parametrize("family", REGISTRY)
def test_every_option_has_a_help_text(family, jaxgen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")  # One line per option.
    result = jaxgen("train", family, "--help")
    assert result.status == 0
    lines = [line.strip("│ ") for line in result.out.splitlines()]
    described = {}
    for line, next_line in zip(lines, [*lines[1:], ""], strict=True):
        if re.match("--[a-z]", line):
            # A long name has its text on the next line.
            described[line.split()[0]] = (line if "(default:" in line else next_line).partition("(default:")[0]
    assert described.keys() > {"--steps", "--seeds", "--resume", "--image-every", "--learning-rate", "--schedule"}
    for option, text in described.items():
        assert len(text.removeprefix(option).split()) > 3, option


def test_resume_keeps_the_config_and_refuses_another(vae, tmp_path, jaxgen, refused):
    out = shutil.copytree(vae, tmp_path / "run")
    result = jaxgen("train", "vae", "--out", out, "--resume", "--steps", 40)
    assert result.status == 0
    assert "resuming at step 20" in result.err
    assert json.loads((out / "summary.json").read_text())["step"] == 40
    assert "--latent-dim 2, not 3" in refused("train", "vae", "--out", out, "--resume", "--latent-dim", 3)
    assert "model 'vae', not 'gan'" in refused("train", "gan", "--resume", "--out", out)
    assert "exists" in refused("train", "vae", "--out", out)


def test_preset_resumes_only_runs_with_its_options(tmp_path, jaxgen, refused, untrained, monkeypatch):
    config = dataclasses.replace(PRESETS["lsgan"].config, hidden=(8,), architecture="mlp")
    run = untrained(tmp_path / "run", REGISTRY["gan"], config)
    common = ("--architecture", "mlp", "--hidden", "8", "--out", run, "--resume", "--steps")
    assert jaxgen("train", "lsgan", *common, 22).status == 0
    before = (run / "config.json").read_text()
    sentence = refused("train", "wgan-gp", *common, 30)
    assert "run was trained with --loss least_squares, and wgan-gp with these options has wasserstein" in sentence
    assert "resume it as a gan" in sentence
    assert (run / "config.json").read_text() == before
    resumed = []
    monkeypatch.setattr("jaxgen.cli.train.train", lambda *arguments, **_: resumed.append(arguments) or {"test": {}})
    assert jaxgen("train", "gan", "--out", run, "--resume", "--steps", 24).status == 0
    expected = dataclasses.replace(load_run(run).config, steps=24)
    assert resumed == [(run, REGISTRY["gan"], expected)]


@pytest.mark.parametrize(("preset", "more"), [("pacgan", []), ("unrolled-gan", ["--unrolled-steps", 1])])
def test_presets_for_points_train_on_the_default_data(preset, more, tmp_path, jaxgen):
    arguments = ("--hidden", "8", "--discriminator-hidden", "8", "--steps", 1, "--out", tmp_path / "run")
    assert jaxgen("train", preset, *arguments, *more).status == 0
    assert load_run(tmp_path / "run").config.data == "digits"


def test_options_of_the_optimizer_are_stored_and_determine_the_training(tmp_path, jaxgen):
    common = ("--architecture", "mlp", "--hidden", 8, "--steps", 20, "--optimizer", "sgd", "--log-every", 10)
    options = ("--momentum", 0.9, "--schedule", "cosine", "--decay-steps", 20, "--warmup-steps", 5, "--clip-norm", 1.0)
    result = jaxgen("train", "classifier", *common, *options, "--out", tmp_path / "run")
    assert result.status == 0
    assert " accuracy " in result.out
    run = load_run(tmp_path / "run")
    config = run.config.model_config
    assert (config.optimizer, config.momentum, config.clip_norm) == ("sgd", 0.9, 1.0)
    assert (config.schedule, config.decay_steps, config.warmup_steps) == ("cosine", 20, 5)
    # With a learning rate of 0 after the first step the parameters stay what they are.
    stopped = (*common, "--schedule", "step", "--decay-steps", 1, "--final-factor", 0)
    assert jaxgen("train", "classifier", *stopped, "--out", tmp_path / "stopped").status == 0
    assert jaxgen("train", "classifier", *stopped, "--out", tmp_path / "one", "--steps", 1).status == 0
    one, many = (load_run(tmp_path / name).state.params for name in ("one", "stopped"))
    jax.tree.map(np.testing.assert_array_equal, one, many)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["vae", "--schedule", "cosine"],
            "decay_steps must be given for the schedule 'cosine', e.g. the steps of the run",
        ),
        (
            ["classifier", "--decay-steps", 5],
            "decay_steps and final_factor have no effect on the schedule 'constant': choose cosine, linear or step",
        ),
        (
            ["vaegan", "--final-factor", 0.5],
            "decay_steps and final_factor have no effect on the schedule 'constant': choose cosine, linear or step",
        ),
        (
            ["gan", "--optimizer", "rmsprop", "--b1", 0.5],
            "b1 applies to adam and adamw, not to 'rmsprop': leave it out",
        ),
        (["gan", "--weight-decay", -1], "weight_decay must be finite and not negative, got -1.0"),
        (["autoencoder", "--warmup-steps", -1], "warmup_steps must be finite and not negative, got -1"),
        (["autoencoder", "--clip-norm", 0], "clip_norm must be positive and finite, got 0.0"),
        (["cvae", "--eps", 0], "eps must be positive and finite, got 0.0"),
        (["vae", "--momentum", 1], "momentum must be a decay from 0 to below 1, got 1.0"),
        (["vae", "--b2", -0.1], "b2 must be a decay from 0 to below 1, got -0.1"),
        (["vae", "--schedule", "linear", "--decay-steps", 0], "decay_steps must be positive and finite, got 0"),
        (
            ["vae", "--schedule", "step", "--decay-steps", 5, "--final-factor", -1],
            "final_factor must be finite and not negative, got -1.0",
        ),
        (["vae", "--learning-rate", "None"], "learning_rate must be positive and finite, got None"),
        (["vae", "--b1", "None"], "b1 must be a decay from 0 to below 1 for adam, got None"),
        (["vae", "--optimizer", "adamm"], "--optimizer cannot be 'adamm': did you mean 'adam'?"),
        (["vae", "--warmup-steps", "few"], "--warmup-steps must be a whole number, got 'few'"),
    ],
)
def test_invalid_options_of_the_optimizer_are_refused(arguments, sentence, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused("train", *arguments) == sentence
    assert list(tmp_path.iterdir()) == []


def test_file_as_run_folder_is_refused(tmp_path, refused):
    (tmp_path / "notes.md").write_text("mine")
    for more in ([], ["--resume"]):
        assert "notes.md" in refused("train", "vae", "--steps", 1, "--out", tmp_path / "notes.md", *more)
    assert "is a file, and a run is stored in a folder" in refused("train", "vae", "--out", tmp_path / "notes.md")
    assert "cannot write to the folder" in refused("train", "vae", "--out", tmp_path / "notes.md" / "run")
    assert (tmp_path / "notes.md").read_text() == "mine"


@pytest.fixture
def image_folder(tmp_path):
    """A folder of colour images of two classes, bright and dark."""
    rng = np.random.default_rng(0)
    for label, (low, high) in {"bright": (200, 256), "dark": (0, 50)}.items():
        (tmp_path / "drawings" / label).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(low, high, (9, 12, 3), np.uint8)).save(
                tmp_path / "drawings" / label / f"{i}.png"
            )
    return tmp_path / "drawings"


def test_folder_of_images_is_trained_on_and_found_from_another_folder(image_folder, jaxgen, monkeypatch):
    monkeypatch.chdir(image_folder)
    options = [*SMALL, "--learning-rate", "0.01", "--steps", 100, "--data", ".", "--image-size", 8]
    result = jaxgen("train", "cvae", *options)
    assert result.status == 0
    assert result.out.endswith("run folder: runs/cvae-drawings\n")
    monkeypatch.chdir(image_folder.parent)
    run = image_folder / "runs" / "cvae-drawings"
    assert jaxgen("evaluate", run).status == 0
    assert jaxgen("sample", run, "--out", "x.npz", "--n", 10, "--label", 0).status == 0
    with np.load("x.npz") as bright:
        assert bright["samples"].shape == (10, 8, 8, 3)
    assert jaxgen("sample", run, "--out", "y.npz", "--n", 10, "--label", 1).status == 0
    with np.load("x.npz") as bright, np.load("y.npz") as dark:
        assert bright["samples"].mean() > dark["samples"].mean() + 0.3


def test_array_of_images_is_trained_on(tmp_path, jaxgen):
    image = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "mine.npz", image=image)
    out = tmp_path / "run"
    result = jaxgen("train", "autoencoder", *SMALL, "--steps", 5, "--data", tmp_path / "mine.npz", "--out", out)
    assert result.status == 0
    assert load_run(out).config.data == str(tmp_path / "mine.npz")
    assert jaxgen("reconstruct", out, "--out", tmp_path / "x.npz").status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        stored = {x.tobytes() for x in image}
        originals = np.rint(arrays["originals"] * 255).astype(np.uint8)
        assert len({x.tobytes() for x in originals} & stored) == len(originals) == 4


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (".", "vae-here"),
        ("./", "vae-here"),
        ("..", "vae-there"),
        ("../here", "vae-here"),
        ("../here/", "vae-here"),
        ("inside/", "vae-inside"),
        ("inside/..", "vae-here"),
        ("inside/x.npz", "vae-x"),
        ("link", "vae-link"),
        ("digits", "vae-digits"),
        ("emnist/letters", "vae-emnist-letters"),
    ],
)
def test_default_run_folder_is_named_after_model_and_data(data, name, tmp_path, monkeypatch):
    inside = tmp_path / "there" / "here" / "inside"
    inside.mkdir(parents=True)
    (inside / "x.npz").touch()
    (inside.parent / "link").symlink_to(tmp_path)
    monkeypatch.chdir(inside.parent)
    assert str(_default_folder("vae", data)) == f"runs/{name}"
