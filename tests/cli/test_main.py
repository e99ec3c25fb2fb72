"""The command line as a user types it: its help, its exit status, and every natural mistake."""

import subprocess
import sys

import pytest

from jaxgen.cli.main import COMMANDS
from jaxgen.errors import DivergenceError, InputError


def test_help_needs_no_jax():
    program = "import sys; from jaxgen.cli.main import usage; usage(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_help_names_every_command(jaxgen):
    said = jaxgen("--help")
    assert said.status == 0
    assert set(COMMANDS) == {
        "train",
        "sample",
        "reconstruct",
        "encode",
        "evaluate",
        "analyze",
        "reproduce",
        "list",
        "data",
    }
    assert all(f"\n  {command} " in said.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, jaxgen):
    said = jaxgen(command, "--help")
    assert said.status == 0
    assert said.out.startswith("usage: jaxgen ")


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (DivergenceError("the loss of player 'vae' is not finite at step 3"), 1, "the loss of player 'vae' is not"),
        (InputError("there is no such thing"), 2, "there is no such thing"),
        (FileNotFoundError(2, "No such file or directory", "a/b"), 2, "No such file or directory: a/b"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_every_end_has_its_status_and_one_sentence(error, status, sentence, jaxgen, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("jaxgen.cli.train.train", fail)
    said = jaxgen("train", "vae")
    assert said.status == status
    assert said.err.startswith(f"jaxgen: error: {sentence}")
    assert said.err.count("\n") == 1


def test_nobody_reads_the_output_any_more():
    """As with `jaxgen list | head -1`."""
    process = subprocess.Popen([sys.executable, "-m", "jaxgen", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


WRONG = {
    "a command": (["trian"], "did you mean 'train'?"),
    "a model": (["train", "veae"], "did you mean 'vae'?"),
    "no model": (["train", "--steps", "3"], "name the model"),
    "a data set": (["train", "vae", "--data", "digts"], "did you mean 'digits'?"),
    "an option": (["train", "vae", "--latnt", "3"], "did you mean '--latent-dim'?"),
    "a word": (["train", "vae", "digits"], "digits"),
    "a number": (["train", "vae", "--latent-dim", "many"], "--latent-dim"),
    "a choice": (["train", "vae", "--likelihood", "poisson"], "bernoulli"),
    "a value": (["train", "vae", "--latent-dim", "0"], "latent must be positive and finite, got 0"),
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
def test_mistakes_get_one_sentence(arguments, said, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused(*arguments)
    assert list(tmp_path.iterdir()) == []
