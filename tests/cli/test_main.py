"""The command line as a user types it: what it prints, its exit status, and every natural mistake."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from jaxgen.cli.main import main
from jaxgen.errors import DivergenceError

SMALL = ["--hidden", "16", "--latent", "2", "--steps", "20", "--batch-size", "32", "--log-every", "10"]


def run(capsys, *arguments):
    """Exit status, standard output and standard error of one command."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vae"
    with pytest.raises(SystemExit) as stop:
        main(["train", "vae", *SMALL, "--out", str(folder)])
    assert stop.value.code == 0
    return folder


def test_help_needs_no_jax():
    program = "import sys; from jaxgen.cli.main import usage; usage(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_help_names_every_command(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(command in out for command in ("train", "sample", "reconstruct", "evaluate", "list", "data"))


@pytest.mark.parametrize("command", ["train", "sample", "reconstruct", "evaluate", "list", "data"])
def test_every_command_has_help(command, capsys):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert out.startswith("usage: jaxgen ")


def test_a_family_shows_its_options(capsys):
    status, out, _ = run(capsys, "train", "vae", "--help")
    assert status == 0
    assert all(option in out for option in ("--latent", "--steps", "--seeds", "--resume", "--likelihood"))


def test_list_shows_families_and_data(capsys):
    status, out, _ = run(capsys, "list")
    assert status == 0
    assert all(name in out for name in ("autoencoder", "vae", "cvae", "gan", "vaegan", "digits", "ring", "mnist"))


def test_samples_as_picture_and_as_arrays(folder, tmp_path, capsys):
    assert run(capsys, "sample", folder, "--out", tmp_path / "x.png", "--n", 9)[0] == 0
    with Image.open(tmp_path / "x.png") as picture:
        assert min(picture.size) >= 3 * 8
    assert run(capsys, "sample", folder, "--out", tmp_path / "x.npz", "--n", 9, "--seed", 3)[0] == 0
    with np.load(tmp_path / "x.npz") as arrays:
        assert arrays["samples"].shape == (9, 8, 8, 1)


def test_reconstructions_show_real_digits(folder, tmp_path, capsys):
    from sklearn.datasets import load_digits

    assert run(capsys, "reconstruct", folder, "--out", tmp_path / "x.npz", "--n", 4)[0] == 0
    with np.load(tmp_path / "x.npz") as arrays:
        originals = np.round(arrays["originals"].reshape(4, 64) * 16)
        assert arrays["reconstructions"].shape == (4, 8, 8, 1)
    digits = load_digits().data
    assert all((digits == original).all(axis=1).any() for original in originals)


def test_evaluate_as_json_and_as_table(folder, capsys):
    status, out, _ = run(capsys, "evaluate", folder, "--json")
    assert status == 0
    assert json.loads(out)["elbo"] < 0
    status, out, _ = run(capsys, "evaluate", folder)
    assert status == 0
    assert "elbo" in out
    assert f"{json.loads(run(capsys, 'evaluate', folder, '--json')[1])['elbo']:.5g}" in out


def test_resume_keeps_what_was_asked_for(tmp_path, capsys):
    out = tmp_path / "run"
    assert run(capsys, "train", "vae", *SMALL, "--out", out)[0] == 0
    status, _, err = run(capsys, "train", "vae", "--out", out, "--resume", "--steps", 40)
    assert status == 0
    assert "going on from step 20" in err
    assert json.loads((out / "summary.json").read_text())["step"] == 40
    status, _, err = run(capsys, "train", "vae", "--out", out, "--resume", "--latent", 3)
    assert status == 2
    assert "--latent 2, not 3" in err


def test_divergence_has_a_status_of_its_own(capsys, monkeypatch):
    def diverge(*_, **__):
        raise DivergenceError("the loss of player 'vae' is not finite at step 3")

    monkeypatch.setattr("jaxgen.cli.train.train", diverge)
    status, _, err = run(capsys, "train", "vae", *SMALL)
    assert (status, err) == (1, "jaxgen: error: the loss of player 'vae' is not finite at step 3\n")


WRONG = {
    "a command": (["trian"], "did you mean 'train'?"),
    "a model": (["train", "veae"], "did you mean 'vae'?"),
    "no model": (["train", "--steps", "3"], "name the model"),
    "a data set": (["train", "vae", "--data", "digts"], "did you mean 'digits'?"),
    "an option": (["train", "vae", "--latnt", "3"], "did you mean '--latent'?"),
    "a word": (["train", "vae", "digits"], "digits"),
    "a number": (["train", "vae", "--latent", "many"], "--latent"),
    "a choice": (["train", "vae", "--likelihood", "poisson"], "bernoulli"),
    "a value": (["train", "vae", "--latent", "0"], "latent must be positive and finite, got 0"),
    "an infinite value": (
        ["train", "vae", "--learning-rate", "inf"],
        "learning_rate must be positive and finite, got inf",
    ),
    "steps": (["train", "vae", "--steps", "0"], "--steps must be at least 1, got 0"),
    "a batch": (["train", "vae", "--batch-size", "5000"], "1437"),
    "no run": (["sample", "nowhere"], "nowhere"),
    "resuming nothing": (["train", "vae", "--resume", "--out", "nowhere"], "nowhere"),
    "an action": (["data", "perpare", "mnist"], "did you mean 'prepare'?"),
    "a data set to prepare": (["data", "prepare", "mnistt"], "mnist"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_mistakes_get_one_sentence(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("jaxgen: error: ")
    assert err.count("\n") == 1
    assert said in err
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_mistakes_with_a_run(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, said in [
        (["train", "vae", *SMALL, "--out", folder], "exists"),
        (["sample", folder, "--out", "x.jpgg"], ".png"),
        (["sample", folder, "--out", "no/x.png"], "no folder 'no'"),
        (["sample", folder, "--n", "0"], "--n must be at least 1"),
        (["sample", folder, "--label", "3"], "label"),
        (["sample", folder, "--seed", 10**20], "--seed must be between"),
        (["train", "gan", "--resume", "--out", folder], "model 'vae', not 'gan'"),
    ]:
        status, _, err = run(capsys, *arguments)
        assert status == 2
        assert err.startswith("jaxgen: error: ")
        assert err.count("\n") == 1
        assert said in err
    assert list(tmp_path.iterdir()) == []
