"""`jaxgen export` and `jaxgen import-weights`."""

import shutil

import numpy as np
import pytest

from jaxgen.runs import load_run
from jaxgen.runs.import_published import known_models
from tests.references import group


def test_a_run_is_exported_imported_and_sampled_with_equal_bits(vae, jaxgen, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = shutil.copytree(vae, tmp_path / "vae")
    assert jaxgen("export", "vae").out == "vae/export/model.safetensors\nvae/export/README.md\n"
    assert jaxgen("import-weights", "jaxgen", "vae/export/model.safetensors").out == "runs/model\n"
    for folder in ("vae", "runs/model"):
        assert jaxgen("sample", folder, "--n", "3", "--out", f"{folder}.npz").status == 0
    assert (tmp_path / "vae.npz").read_bytes() == (tmp_path / "runs" / "model.npz").read_bytes()
    assert jaxgen("runs", "runs").out.splitlines()[1].split()[:6] == ["model", "vae", "digits", "1", "20", "imported"]
    assert refused("export", "vae") == (
        "vae/export/model.safetensors exists: give a --to in a folder of its own, in which both can be written"
    )
    again = ("import-weights", "jaxgen", "vae/export/model.safetensors")
    assert refused(*again) == "'runs/model' must be a new or an empty folder, and it is not: give another --out"
    assert "cannot be resumed: train a new run from its weights by --init-from runs/model" in refused(
        "train", "vae", "--resume", "--out", "runs/model", "--hidden", "16", "--latent-dim", "2", "--steps", "20"
    )
    assert load_run(run).imported is None


def test_one_of_several_seeds_is_exported(cvae, jaxgen, refused, tmp_path):
    assert refused("export", cvae, "--to", tmp_path / "a.safetensors", "--run-index", "2") == (
        "--run-index must be from 0 to 1, got 2: the run has 2 seeds"
    )
    assert list(tmp_path.iterdir()) == []
    assert jaxgen("export", cvae, "--to", tmp_path / "b" / "a.safetensors", "--run-index", "1").status == 0
    assert jaxgen("import-weights", "jaxgen", tmp_path / "b" / "a.safetensors", "--out", tmp_path / "run").status == 0
    assert (load_run(tmp_path / "run").config.seed, load_run(tmp_path / "run").config.seeds) == (1, None)


def test_weights_of_the_authors_of_stylegan2_become_a_run(jaxgen, tmp_path):
    for network, prefix in (("G_ema", "G/"), ("D", "D/")):
        weights = {f"{network}.{name}": x for name, x in group("stylegan2_ada_pytorch", prefix).items()}
        np.savez(tmp_path / f"{network}.npz", **weights)
    arrays = {n: x for network in ("G_ema", "D") for n, x in np.load(tmp_path / f"{network}.npz").items()}
    np.savez(tmp_path / "both.npz", **arrays)
    folder = tmp_path / "run"
    result = jaxgen("import-weights", "stylegan2", tmp_path / "both.npz", "--out", folder, "--data", "cifar10")
    assert (result.status, result.out, result.err) == (0, f"{folder}\n", "")
    run = load_run(folder)
    assert (run.config.data, run.config.image_size, run.config.model_config.latent_dim) == ("cifar10", 16, 24)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["stylegan3", "a.npz"], "there is no model with published weights 'stylegan3': did you mean 'stylegan'?"),
        (["jaxgen"], "jaxgen import-weights needs FILE: .safetensors, .npz, or .pt and .pth of torch.save."),
        (["jaxgen", "a.safetensors"], "No such file or directory: a.safetensors"),
        (["jaxgen", "a.pt"], "the file of an exported run must end in .safetensors, got 'a.pt'"),
        (["stylegan2", "a.npz"], "No such file or directory: a.npz"),
        (["stylegan2", "a.pkl"], "a pickle of networks is a program, which is not run; convert it as the guide"),
        (["stylegan2", "text.npz"], "text.npz cannot be read as an .npz file without pickled objects"),
        (["stylegan2", "text.pt"], "text.pt must be a file that torch.save has written from a dict of tensors"),
        (["stylegan2", "text.safetensors"], "text.safetensors must be a complete .safetensors file"),
        (["stylegan2", "a.npz", "--family", "mine.py"], "--family applies to exported runs, MODEL jaxgen: leave it"),
        (["stylegan2", "a.npz", "--out", "text.npz"], "cannot write to the folder 'text.npz'"),
    ],
)
def test_wrong_arguments_and_files_give_one_sentence_and_write_nothing(
    arguments, sentence, refused, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("text.npz", "text.pt", "text.safetensors"):
        (tmp_path / name).write_text("This is a text and no file of weights.")
    before = sorted(tmp_path.iterdir())
    assert sentence in refused("import-weights", *arguments)
    assert sorted(tmp_path.iterdir()) == before


def test_the_help_names_every_model_that_has_published_weights(jaxgen):
    text = " ".join(jaxgen("import-weights", "--help").out.split())
    assert all(name in text for name in known_models() if name.isalnum())
