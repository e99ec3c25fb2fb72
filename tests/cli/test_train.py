"""`jaxgen train`: options, going on, the user's own pictures, and where the run goes if nothing is said."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxgen.cli.train import _usual_folder
from jaxgen.runs import load_run

SMALL = ["--hidden", "16", "--latent-dim", "2", "--batch-size", "8"]


def test_a_family_shows_its_options(jaxgen):
    said = jaxgen("train", "vae", "--help")
    assert said.status == 0
    assert all(option in said.out for option in ("--latent-dim", "--steps", "--seeds", "--resume", "--likelihood"))


def test_resume_keeps_what_was_asked_for(vae, tmp_path, jaxgen, refused):
    out = shutil.copytree(vae, tmp_path / "run")
    said = jaxgen("train", "vae", "--out", out, "--resume", "--steps", 40)
    assert said.status == 0
    assert "going on from step 20" in said.err
    assert json.loads((out / "summary.json").read_text())["step"] == 40
    assert "--latent-dim 2, not 3" in refused("train", "vae", "--out", out, "--resume", "--latent-dim", 3)
    assert "model 'vae', not 'gan'" in refused("train", "gan", "--resume", "--out", out)
    assert "exists" in refused("train", "vae", "--out", out)


def test_a_preset_goes_on_with_its_own_runs_alone(tmp_path, jaxgen, refused):
    common = ("--data", "ring", "--hidden", "8", "--out", tmp_path / "run", "--steps")
    assert jaxgen("train", "lsgan", *common, 4).status == 0
    assert jaxgen("train", "lsgan", *common, 6, "--resume").status == 0
    assert jaxgen("train", "gan", "--out", tmp_path / "run", "--resume", "--steps", 8).status == 0
    before = (tmp_path / "run" / "config.json").read_text()
    said = refused("train", "wgan-gp", *common, 10, "--resume")
    assert "run was trained with --loss least_squares, and wgan-gp with these options has wasserstein" in said
    assert "go on with it as a gan" in said
    assert (tmp_path / "run" / "config.json").read_text() == before


def test_presets_for_points_take_the_usual_data_too(tmp_path, jaxgen):
    for preset in ("pacgan", "unrolled-gan"):
        arguments = ("--hidden", "8", "--discriminator-hidden", "8", "--steps", 1, "--out", tmp_path / preset)
        assert jaxgen("train", preset, *arguments).status == 0
        assert load_run(tmp_path / preset).config.data == "digits"


def test_a_file_is_no_place_for_a_run(tmp_path, refused):
    (tmp_path / "notes.md").write_text("mine")
    for more in ([], ["--resume"]):
        assert "notes.md" in refused("train", "vae", "--steps", 1, "--out", tmp_path / "notes.md", *more)
    assert "is a file, and a run is kept in a folder" in refused("train", "vae", "--out", tmp_path / "notes.md")
    assert "cannot write to the folder" in refused("train", "vae", "--out", tmp_path / "notes.md" / "run")
    assert (tmp_path / "notes.md").read_text() == "mine"


@pytest.fixture
def drawings(tmp_path):
    """A folder of colour pictures of two kinds, bright and dark."""
    rng = np.random.default_rng(0)
    for label, (low, high) in {"bright": (200, 256), "dark": (0, 50)}.items():
        (tmp_path / "drawings" / label).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(low, high, (9, 12, 3), np.uint8)).save(
                tmp_path / "drawings" / label / f"{i}.png"
            )
    return tmp_path / "drawings"


def test_own_pictures_in_a_folder(drawings, jaxgen, monkeypatch):
    monkeypatch.chdir(drawings)
    said = jaxgen("train", "cvae", *SMALL, "--learning-rate", "0.01", "--steps", 100, "--data", ".", "--image-size", 8)
    assert said.status == 0
    assert said.out.endswith("run folder: runs/cvae-drawings\n")
    monkeypatch.chdir(drawings.parent)  # A run knows its data from wherever it is used.
    run = drawings / "runs" / "cvae-drawings"
    assert jaxgen("evaluate", run).status == 0
    assert jaxgen("sample", run, "--out", "x.npz", "--n", 10, "--label", 0).status == 0
    with np.load("x.npz") as bright:
        assert bright["samples"].shape == (10, 8, 8, 3)
    assert jaxgen("sample", run, "--out", "y.npz", "--n", 10, "--label", 1).status == 0
    with np.load("x.npz") as bright, np.load("y.npz") as dark:
        assert bright["samples"].mean() > dark["samples"].mean() + 0.3


def test_own_pictures_in_arrays(tmp_path, jaxgen):
    image = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "mine.npz", image=image)
    out = tmp_path / "run"
    said = jaxgen("train", "autoencoder", *SMALL, "--steps", 5, "--data", tmp_path / "mine.npz", "--out", out)
    assert said.status == 0
    assert load_run(out).config.data == str(tmp_path / "mine.npz")
    assert jaxgen("reconstruct", out, "--out", tmp_path / "x.npz").status == 0
    with np.load(tmp_path / "x.npz") as arrays:
        np.testing.assert_allclose(arrays["originals"], image[9::10] / 255, rtol=1e-6)


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
def test_the_run_is_named_after_its_data(data, name, tmp_path, monkeypatch):
    inside = tmp_path / "there" / "here" / "inside"
    inside.mkdir(parents=True)
    (inside / "x.npz").touch()
    (inside.parent / "link").symlink_to(tmp_path)
    monkeypatch.chdir(inside.parent)
    assert str(_usual_folder("vae", data)) == f"runs/{name}"
