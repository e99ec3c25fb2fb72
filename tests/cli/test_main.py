"""The command line: help, exit status, and one sentence for each invalid input."""

import re
import shlex
import subprocess
import sys

import pytest

from jaxgen.cli.main import COMMANDS
from jaxgen.cli.parse import parse
from jaxgen.errors import DivergenceError, InputError


def test_usage_does_not_import_jax():
    program = "import sys; from jaxgen.cli.main import usage; usage(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_help_lists_every_command(jaxgen):
    result = jaxgen("--help")
    assert result.status == 0
    assert set(COMMANDS) == {
        "train",
        "sample",
        "reconstruct",
        "stylize",
        "project",
        "encode",
        "evaluate",
        "report",
        "export",
        "import-weights",
        "runs",
        "compare",
        "reproduce",
        "benchmark",
        "list",
        "completion",
        "data",
        "metrics",
    }
    assert all(f"\n  {command} " in result.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example_that_is_parsed(command, jaxgen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = jaxgen(command, "--help")
    assert result.status == 0
    assert result.out.startswith("usage: jaxgen ")
    assert jaxgen("help", command).out == result.out
    (example,) = re.findall(r"^Example: jaxgen (.*)$", result.out, flags=re.MULTILINE)
    name, *arguments = shlex.split(example.partition(" > ")[0])
    assert name == command
    # Up to the first use of what was parsed, the run folders, which do not exist.
    monkeypatch.setattr("jaxgen.runs.training.train", lambda *_, **__: pytest.fail("a training was started"))
    parsed = []
    for module in ("train", name):
        module = module.replace("-", "_")
        monkeypatch.setattr(f"jaxgen.cli.{module}.parse", lambda *a, **k: parsed.append(parse(*a, **k)) or sys.exit(0))
    assert jaxgen(name, *arguments).status == 0
    assert len(parsed) == 1


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (DivergenceError("the loss of player 'vae' is not finite at step 3"), 1, "the loss of player 'vae' is not"),
        (InputError("there is no such thing"), 2, "there is no such thing"),
        (FileNotFoundError(2, "No such file or directory", "a/b"), 2, "No such file or directory: a/b"),
        (OSError(28, "No space left on device"), 2, "No space left on device"),
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory\nstack"),
            2,
            "the device has too little memory: give a smaller",
        ),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_each_error_has_its_exit_status_and_one_sentence(error, status, sentence, jaxgen, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("jaxgen.cli.train.train", fail)
    result = jaxgen("train", "vae")
    assert result.status == status
    assert result.err.startswith(f"jaxgen: error: {sentence}")
    assert result.err.count("\n") == 1


def test_closed_pipe_ends_with_status_141_and_no_message():
    """As in `jaxgen list | head -1`."""
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
    "an argument": (["train", "vae", "digits"], "digits"),
    "a number": (["train", "vae", "--latent-dim", "many"], "--latent-dim"),
    "a choice": (["train", "vae", "--likelihood", "poisson"], "bernoulli"),
    "a value": (["train", "vae", "--latent-dim", "0"], "latent_dim must be positive and finite, got 0"),
    "an infinite value": (
        ["train", "vae", "--learning-rate", "inf"],
        "learning_rate must be positive and finite, got inf",
    ),
    "steps": (["train", "vae", "--steps", "0"], "--steps must be at least 1, got 0"),
    "images": (["train", "vae", "--image-every", "0"], "--image-every must be at least 1, got 0"),
    "a batch": (["train", "vae", "--batch-size", "5000"], "1437"),
    "no run": (["sample", "nowhere"], "nowhere"),
    "resuming nothing": (["train", "vae", "--resume", "--out", "nowhere"], "nowhere"),
    "a workload": (["benchmark", "--only", "MLP VEA"], "did you mean 'MLP VAE'?"),
    "a growth": (["benchmark", "--growth", "--quick"], "leave out --quick, --only, --chart and --targets"),
    "a report": (["benchmark", "--json", "report.txt"], "give a name that ends in .json"),
    "a folder": (["benchmark", "--json", "no/report.json"], "there is no folder 'no'"),
    "a chart": (["benchmark", "--chart", "chart.gif"], "give a name that ends in .png, .pdf or .svg"),
    "an action": (["data", "perpare", "mnist"], "did you mean 'prepare'?"),
    "a data set to prepare": (["data", "prepare", "mnistt"], "mnist"),
}


@pytest.mark.parametrize(("arguments", "part"), WRONG.values(), ids=WRONG)
def test_invalid_arguments_give_one_sentence_and_write_nothing(arguments, part, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert part in refused(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_device_is_an_option_of_every_command(jaxgen, refused, monkeypatch):
    chosen = []
    monkeypatch.setattr("jax.config.update", lambda name, value: chosen.append((name, value)))
    for arguments in (["list", "--device", "cpu"], ["list", "--device=cpu"], ["--device", "cpu", "list"]):
        assert jaxgen(*arguments).status == 0
    assert [entry for entry in chosen if entry[0] == "jax_platforms"] == [("jax_platforms", "cpu")] * 3
    assert refused("--device", "cpu", "list", "--device=tpu") == "--device must be given once, got it 2 times"
    assert refused("list", "--devce", "cpu") == "jaxgen list has no option '--devce': did you mean '--device'?"
    for command in COMMANDS:
        arguments = {"train": ["vae"], "reproduce": ["critic-loss"]}.get(command, [])
        assert " --device {cpu,gpu,tpu} " in jaxgen(command, *arguments, "--help").out
    assert refused("list", "--device", "gp") == "--device must be one of cpu, gpu, tpu, got 'gp'"
    assert refused("list", "--device").startswith("--device must be one of")
    monkeypatch.setattr("jax.default_backend", lambda: "cpu")
    assert refused("list", "--device", "tpu").startswith(
        "--device tpu needs a JAX that finds one, and this one finds cpu"
    )


@pytest.mark.parametrize("model", ["wgan-gp", "vae", "classifier"])
def test_example_of_a_model_is_of_this_model_and_is_parsed(model, jaxgen, monkeypatch):
    monkeypatch.setattr("jaxgen.cli.train.train", lambda *arguments, **_: trained.append(arguments) or {"test": {}})
    trained, help_text = [], jaxgen("train", model, "--help").out
    (example,) = re.findall(r"^Example: jaxgen (.*?) *$", help_text, flags=re.MULTILINE)
    assert shlex.split(example)[:2] == ["train", model]
    assert jaxgen(*shlex.split(example)).status == 0
    assert len(trained) == 1
    for option in ("--config FILE", "--family MODULE"):
        assert option in help_text


def test_example_of_a_recipe_is_of_this_recipe(jaxgen):
    assert "Example: jaxgen reproduce pacgan-mixtures --quick" in jaxgen("reproduce", "pacgan-mixtures", "--help").out


def test_home_folders_of_paths_are_expanded(jaxgen, refused, tmp_path, monkeypatch):
    """A shell leaves `~` in `--out=~/x` as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("model: vae\ndata: ring\nsteps: 3\n")
    (tmp_path / "own.py").write_text("from jaxgen.models import vae\nFAMILY = 3\n")
    started = []
    monkeypatch.setattr("jaxgen.cli.train.train", lambda folder, *_, **__: started.append(folder) or {"test": {}})
    assert jaxgen("train", "--config=~/x.yaml", "--out=~/run").status == 0
    assert started == [tmp_path / "run"]
    assert f"'{tmp_path}/absent.yaml'" in refused("train", "--config=~/absent.yaml")
    assert "must define FAMILY" in refused("train", "--family=~/own.py")
    assert f"{tmp_path}/run is not a run folder" in refused("sample", "~/run")
    assert f"there is no folder '{tmp_path}/none'" in refused("sample", "run", "--out=~/none/x.png")
    assert f"there is no folder '{tmp_path}/none'" in refused("runs", "~/none")
    for arguments in (["train", "vae", "--config=~nosuchuser/x.yaml"], ["train", "~nosuchuser/x.py"]):
        assert "must begin with the name of a user" in refused(*arguments)
    for arguments in (["sample", "run", "--out=~nosuchuser/x"], ["runs", "~nosuchuser/x"]):
        assert "must begin with the name of a user" in refused(*arguments)
