"""Families from outside the package: training, killing, resuming and using them from the command line."""

import json
import signal
import subprocess
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxgen.cli.main import main
from jaxgen.data import load
from jaxgen.models import REGISTRY, load_family
from jaxgen.runs import RunConfig, load_run, train

LINEAR = '''
"""A denoising linear autoencoder with one matrix W: z = x W and x = z W^T."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxgen import Family
from jaxgen.game import Model, Player, game
from jaxgen.models.optimizer import OptimizerConfig, make_optimizer
from jaxgen.models.preprocessing import preprocess


@dataclass(frozen=True, kw_only=True)
class Config(OptimizerConfig):
    """Options of a denoising linear autoencoder.

    Attributes:
        latent_dim: dimension of the latent.
    """

    latent_dim: int = 2


def build(config, example):
    shape = preprocess(example).shape[1:]

    def flat(batch):
        x = preprocess(batch)
        return x.reshape(len(x), -1)

    def init_networks(key, batch):
        return {"net": {"params": 0.1 * jax.random.normal(key, (flat(batch).shape[1], config.latent_dim))}}

    def encode(state, batch):
        return flat(batch) @ state.params["net"]

    def decode(state, latent):
        return (latent @ state.params["net"].T).reshape(-1, *shape)

    def loss(key, params, state, batch):
        x = flat(batch)
        noisy = x + 0.1 * jax.random.normal(key, x.shape)
        return jnp.mean((noisy @ params["net"] @ params["net"].T - x) ** 2), ({}, {})

    def evaluate(key, state, batch):
        return {"mse": jnp.mean((encode(state, batch) @ state.params["net"].T - flat(batch)) ** 2, axis=1)}

    player = Player("net", ("net",), loss, make_optimizer(config))
    init, step = game(init_networks, [player])
    return Model(
        init,
        step,
        (player,),
        sample=lambda key, state, n: decode(state, jax.random.normal(key, (n, config.latent_dim))),
        sample_latent=lambda key, n: jax.random.normal(key, (n, config.latent_dim)),
        encode=encode,
        decode=decode,
        reconstruct=lambda state, batch: decode(state, encode(state, batch)),
        evaluate=evaluate,
    )


FAMILY = Family(name="linear", config=Config, build=build, summary="denoising linear autoencoder")
'''

TEST = load("digits", split="test")


@pytest.fixture(scope="module")
def linear_file(tmp_path_factory):
    """A file that defines the family 'linear'."""
    path = tmp_path_factory.mktemp("families") / "linear_autoencoder.py"
    path.write_text(LINEAR)
    return path


@pytest.fixture(scope="module")
def other_file(tmp_path_factory):
    """A file that defines the family 'other'."""
    path = tmp_path_factory.mktemp("families") / "other.py"
    path.write_text(LINEAR.replace('name="linear"', 'name="other"'))
    return path


@pytest.fixture(scope="module")
def linear_run(linear_file, untrained, tmp_path_factory):
    """A run of the family 'linear'."""
    family = load_family(str(linear_file))
    return untrained(tmp_path_factory.mktemp("linear"), family, family.config())


OPTIONS = ["--latent-dim", "2", "--batch-size", "64"]
OPTIONS += ["--log-every", "25", "--checkpoint-every", "200", "--image-every", "1000000"]


@pytest.fixture(scope="module")
def resumed(linear_file, tmp_path_factory):
    """A run of the family 'linear' that was killed between two checkpoints and resumed for 300 steps."""
    folder = tmp_path_factory.mktemp("resumed") / "run"
    command = [sys.executable, "-m", "jaxgen", "train", linear_file, *OPTIONS, "--steps", "1000000", "--out", folder]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and newest_logged(folder) <= max(newest_checkpoint(folder), 200):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    steps = newest_checkpoint(folder) + 300
    with pytest.raises(SystemExit) as stop:
        main(["train", "--family", str(linear_file), "--out", str(folder), "--resume", "--steps", str(steps)])
    assert stop.value.code == 0
    return folder


def newest_logged(folder):
    """Step of the newest line of the log of a run."""
    log = folder / "metrics.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    return json.loads(lines[-1])["step"] if lines else 0


def newest_checkpoint(folder):
    """Step of the newest complete checkpoint of a run."""
    steps = (folder / "checkpoints").iterdir() if (folder / "checkpoints").is_dir() else ()
    return max((int(path.name) for path in steps if path.name.isdecimal()), default=0)


def test_killed_between_checkpoints_and_resumed_ends_with_the_same_bits(resumed, linear_file, tmp_path, jaxgen):
    steps = newest_checkpoint(resumed)
    result = jaxgen("train", linear_file, *OPTIONS, "--out", tmp_path / "uninterrupted", "--steps", steps)
    assert result.status == 0
    assert result.out.startswith(f"linear on the test split of digits, step {steps}\n")
    family = load_family(str(linear_file))
    runs = [load_run(folder, family=family) for folder in (resumed, tmp_path / "uninterrupted")]
    assert [run.step for run in runs] == [steps, steps]
    for x, y in zip(*(jax.tree.leaves(run.state) for run in runs), strict=True):
        np.testing.assert_array_equal(np.asarray(x), np.asarray(y))
    assert [(run.folder / "metrics.jsonl").read_text().count("\n") for run in runs] == [steps // 25, steps // 25]


def test_sample_encode_reconstruct_and_evaluate_load_the_family(resumed, linear_file, tmp_path, jaxgen):
    run = load_run(resumed, family=load_family(str(linear_file)))
    family = ("--family", linear_file)
    assert jaxgen("sample", resumed, *family, "--n", 3, "--out", tmp_path / "x.npz").status == 0
    assert jaxgen("encode", resumed, *family, "--out", tmp_path / "z.npz").status == 0
    assert jaxgen("reconstruct", resumed, *family, "--n", 3, "--out", tmp_path / "y.npz").status == 0
    with np.load(tmp_path / "x.npz") as x, np.load(tmp_path / "y.npz") as y, np.load(tmp_path / "z.npz") as z:
        np.testing.assert_allclose(x["samples"], run.sample(jax.random.key(0), 3), rtol=1e-5, atol=1e-6)
        few = {name: array[:3] for name, array in TEST.items()}
        np.testing.assert_allclose(y["reconstructions"], run.reconstruct(few), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(z["latents"], run.encode(TEST), rtol=1e-5, atol=1e-6)
    evaluated = jaxgen("evaluate", resumed, *family, "--json")
    assert evaluated.status == 0
    summary = json.loads((resumed / "summary.json").read_text())
    assert json.loads(evaluated.out) == pytest.approx(summary["test"])


def test_runs_of_the_family_and_of_the_package_are_compared(resumed, vae, linear_file, tmp_path, jaxgen, refused):
    out = ("--out", tmp_path / "x.png")
    assert "which is not part of jaxgen" in refused("compare", resumed, vae, *out)
    compared = jaxgen("compare", resumed, vae, "--family", linear_file, *out)
    assert compared.status == 0
    summary = json.loads((resumed / "summary.json").read_text())
    rows = [line.replace("│", "").split() for line in compared.out.splitlines()]
    assert ["model", "linear", "vae"] in rows
    assert ["mse", f"{summary['test']['mse']:.5g}"] in [row[:2] for row in rows]


def test_report_loads_the_family(resumed, linear_file, tmp_path, jaxgen, monkeypatch):
    monkeypatch.setattr("jaxgen.report.birthday.TRIALS", 2)
    result = jaxgen("report", resumed, "--family", linear_file, "--out", tmp_path / "out")
    assert result.status == 0
    assert result.out.startswith(f"linear on digits, step {newest_checkpoint(resumed)}\n")
    assert result.out.splitlines()[-1] == str(tmp_path / "out" / "index.html")
    metrics = json.loads((tmp_path / "out" / "report.json").read_text())["metrics"]
    assert metrics["mse"] == pytest.approx(json.loads((resumed / "summary.json").read_text())["test"]["mse"])
    assert "latents_prior_mmd" in metrics


def test_family_is_a_file_a_module_or_an_entry_point(linear_file, jaxgen, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(linear_file.parent)
    points = [EntryPoint("announced", "linear_autoencoder:FAMILY", "jaxgen.families")]
    monkeypatch.setattr("jaxgen.models.family.entry_points", lambda group: points)
    trainings = []

    def record(folder, family, config, **_):
        trainings.append((str(folder), family.name, config.model_config.latent_dim))
        return {"test": {}}

    monkeypatch.setattr("jaxgen.cli.train.train", record)
    for named in (
        [linear_file],
        ["--family", linear_file],
        [f"--family={linear_file}"],
        ["--family", "linear_autoencoder"],
        ["--family", "announced"],
    ):
        result = jaxgen("train", *named, "--latent-dim", 5)
        assert (result.status, result.out) == (0, "run folder: runs/linear-digits\n")
    assert trainings == [("runs/linear-digits", "linear", 5)] * 5


def test_help_of_own_family_shows_its_options_and_those_of_the_optimizer(linear_file, jaxgen):
    result = jaxgen("train", linear_file, "--help")
    assert result.status == 0
    assert all(option in result.out for option in ("--latent-dim", "--schedule", "--steps", "--resume"))


INVALID_FILES = {
    "no family": (
        "x = 1",
        "'FILE' must define FAMILY = jaxgen.Family(name=..., config=..., build=..., summary=...), got",
    ),
    "another type": ("FAMILY = 3", "summary=...), got int"),
    "syntax error": ("def f(:", "the family 'FILE' could not be imported: SyntaxError: invalid syntax"),
    "exception": ("raise RuntimeError('one\\ntwo')", "the family 'FILE' could not be imported: RuntimeError: one two"),
    "exit": ("import sys\nsys.exit('done')", "the family 'FILE' could not be imported: SystemExit: done"),
    "missing module": ("import absent", "could not be imported: ModuleNotFoundError: No module named 'absent'"),
    "config is no dataclass": (
        "import jaxgen\nFAMILY = jaxgen.Family('x', dict, None, '')",
        "the config of the family in 'FILE' must be a dataclass, got <class 'dict'>",
    ),
    "option without default": (
        LINEAR.replace("latent_dim: int = 2", "latent_dim: int"),
        "every option of the family in 'FILE' must have a default, got none for 'latent_dim'",
    ),
    "option that cannot be stored": (
        LINEAR.replace("latent_dim: int = 2", "latent_dim: int = 2\n    sizes: dict[str, int] | None = None"),
        "the option 'sizes' of the family in 'FILE' must be an int, float, str, bool or Literal, a tuple[..., ...] of",
    ),
    "option of the run": (
        LINEAR.replace("latent_dim: int = 2", "latent_dim: int = 2\n    steps: int = 3"),
        "the family 'linear' must not have an option 'steps', which is one of the run: rename it",
    ),
    "default of another type": (
        LINEAR.replace("latent_dim: int = 2", 'latent_dim: int = 2\n    size: int = "abc"'),
        "the default of the option 'size' of the family in 'FILE' must be of the type int, got 'abc'",
    ),
    "choice that cannot be stored": (
        LINEAR.replace("import dataclass\n", "import dataclass\nfrom typing import Literal\n").replace(
            "latent_dim: int = 2", 'latent_dim: int = 2\n    kind: Literal[b"x"] = b"x"'
        ),
        "the option 'kind' of the family in 'FILE' must be an int, float, str, bool or Literal",
    ),
    "name that is a path": (
        LINEAR.replace('name="linear"', 'name="../../escape"'),
        "the name of a family must consist of letters, digits, '_' and '-', got '../../escape'",
    ),
    "name that is a number": (
        LINEAR.replace('name="linear"', "name=3"),
        "the name of a family must consist of letters, digits, '_' and '-', got 3",
    ),
    "name of a family of the package": (
        LINEAR.replace('name="linear"', 'name="vae"'),
        "the name of a family must not be that of another family of jaxgen, got 'vae'",
    ),
}


@pytest.mark.parametrize(("content", "part"), INVALID_FILES.values(), ids=INVALID_FILES)
def test_invalid_family_file_is_refused(content, part, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(content)
    assert part.replace("FILE", "mine.py") in refused("train", "mine.py", "--steps", 1)
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


BROKEN_MODELS = {
    "build": (
        ("    shape = preprocess", "    1 / 0\n    shape = preprocess"),
        "line 27, fails: ZeroDivisionError: division",
    ),
    "exit": (
        ("    shape = preprocess", "    raise SystemExit(0)\n    shape = preprocess"),
        "line 27, fails: SystemExit: 0",
    ),
    "scalar metric": (
        (", axis=1)}", ")}"),
        "fails: ValueError: metric mse must have a leading axis of 16 examples, got",
    ),
    "fewer samples": (
        ("(n, config", "(3, config"),
        "fails: ValueError: sample must have a leading axis of 16 examples",
    ),
    "init": (
        ('        return {"net"', '        1 / 0\n        return {"net"'),
        "fails: ZeroDivisionError: division by",
    ),
    "loss": (
        ("        noisy = x", "        x = x[0] if x.sum() > 0 else x\n        noisy = x"),
        "fails: TracerBoolConv",
    ),
    "unknown network": (('("net",)', '("nets",)'), "fails: ValueError: "),
    "statistics": (("** 2), ({}, {})", "** 2), ({'net': {'mean': x}}, {})"), "fails: TypeError: "),
    "evaluate": (('{"mse":', '{"mae": batch["absent"], "mse":'), "fails: KeyError: 'absent'"),
    "sample": (("decode(state, jax.random", "decode(jax.random"), "fails: TypeError: "),
}


@pytest.mark.parametrize(("change", "part"), BROKEN_MODELS.values(), ids=BROKEN_MODELS)
def test_error_of_the_model_is_one_sentence_that_names_the_file(change, part, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = LINEAR.replace(*change)
    assert content != LINEAR
    (tmp_path / "mine.py").write_text(content)
    sentence = refused("train", "mine.py", "--steps", 1, "--batch-size", 16)
    assert sentence.startswith(f"the family 'linear' in {tmp_path / 'mine.py'}")
    assert part in sentence
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


def test_error_of_the_model_of_a_run_is_one_sentence(linear_run, linear_file, refused, tmp_path):
    (tmp_path / "mine.py").write_text(LINEAR.replace('        return {"net"', '        1 / 0\n        return {"net"'))
    sentence = refused("evaluate", linear_run, "--family", tmp_path / "mine.py")
    assert sentence.startswith(f"the family 'linear' in {tmp_path / 'mine.py'}, line ")


def test_option_that_is_not_finite_is_refused_by_its_name(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        LINEAR.replace("latent_dim: int = 2", "latent_dim: int = 2\n    bound: float = 1.0")
    )
    for value in ("inf", "nan"):
        assert refused("train", "mine.py", "--bound", value) == f"--bound must be finite, got {value}"
    assert {path.name for path in tmp_path.iterdir()} <= {"mine.py", "__pycache__"}


def test_error_of_the_check_of_options_is_one_sentence(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check = (
        "latent_dim: int = 2\n\n    def __post_init__(self):\n        if self.latent_dim > 2: raise TypeError('a\\nb')"
    )
    (tmp_path / "mine.py").write_text(LINEAR.replace("latent_dim: int = 2", check))
    sentence = refused("train", "mine.py", "--latent-dim", 3)
    assert sentence.startswith(f"the family 'linear' in {tmp_path / 'mine.py'}, line ")
    assert sentence.endswith("fails: TypeError: a b")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["absent.py"], "there is no file 'absent.py' that could define a family"),
        (["--family", "absent.py"], "there is no file 'absent.py' that could define a family"),
        (["--family", "absent"], "there is no family 'absent': give the path of a .py file, an importable module, or"),
        (["--family", "json.absent"], "there is no family 'json.absent'"),
        (["--family", "./absent"], "there is no family './absent'"),
        (["--family", "json"], "'json' must define FAMILY"),
        (["--family"], "--family needs a value: a .py file, a module, or an installed entry point"),
        (["--family="], "--family needs a value: a .py file, a module, or an installed entry point"),
        (["--family", "--steps", "3"], "--family needs a value: a .py file, a module, or an installed entry point"),
        (["vae", "--family", "mine.py"], "--family takes the place of the model, and 'vae' is given as well"),
        (["linear"], "a family of your own is the path of its .py file, or --family MODULE"),
    ],
)
def test_family_that_cannot_be_found_is_refused(arguments, part, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert part in refused("train", *arguments)
    assert list(tmp_path.iterdir()) == []


COMMANDS = ("sample", "reconstruct", "encode", "evaluate", "report")


def test_run_of_another_or_unknown_family_is_refused(linear_run, vae, linear_file, other_file, refused):
    unknown = (
        "is of the family 'linear', which is not part of jaxgen: give the file or module that defines it, as --family"
    )
    for command in COMMANDS:
        assert unknown in refused(command, linear_run)
        sentence = refused(command, linear_run, "--family", other_file)
        assert sentence == f"{linear_run} holds a run of the model 'linear', not 'other'"
        sentence = refused(command, vae, "--family", other_file)
        assert sentence == f"{vae} holds a run of the model 'vae', not 'other'"
        assert "there is no file 'absent.py'" in refused(command, linear_run, "--family", "absent.py")
    for other in ("vae", "lsgan", other_file):
        sentence = refused("train", other, "--out", linear_run, "--resume")
        name = {"lsgan": "gan", other_file: "other"}.get(other, other)
        assert sentence == f"{linear_run} holds a run of the model 'linear', not '{name}'"


@pytest.mark.parametrize("named_as", ["linear", "autoencoder"])
def test_run_of_a_model_built_in_python_is_refused_with_advice(named_as, linear_file, tmp_path, refused):
    linear = load_family(str(linear_file))
    family = linear if named_as == "linear" else REGISTRY[named_as]
    config, shown = RunConfig(family.config(), steps=2, batch_size=32), {"image": TEST["image"][:1]}
    folder, model = tmp_path / "run", linear.build(linear.config(latent_dim=3), shown)
    train(folder, family, config, model=model)
    advice = (
        f"{folder} was trained from Python with modules or functions of its own, which a run folder does not store: "
        "build the same model in Python and call jaxgen.load_run(folder, model=model)"
    )
    for command in COMMANDS:
        assert refused(command, folder) == advice
    given = linear_file if named_as == "linear" else named_as
    assert refused("train", given, "--out", folder, "--resume", "--steps", 4) == advice
    assert load_run(folder, model=model).encode(TEST).shape == (len(TEST["image"]), 3)


@pytest.mark.parametrize("named_as", ["path", "module"])
def test_loading_a_run_imports_nothing_that_its_config_names(named_as, linear_run, refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "imported_by_name.py").write_text("import pathlib\npathlib.Path('imported').touch()\n" + LINEAR)
    content = json.loads((linear_run / "config.json").read_text())
    content["family"] = str(tmp_path / "imported_by_name.py") if named_as == "path" else "imported_by_name"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(content))
    for command in COMMANDS:
        assert "which is not part of jaxgen" in refused(command, "run")
    for model in ("vae", "lsgan"):
        assert "holds a run of the model" in refused("train", model, "--out", "run", "--resume")
    assert not (tmp_path / "imported").exists()
    assert "imported_by_name" not in sys.modules


def test_example_is_trained_resumed_and_sampled_by_the_commands_of_the_guide(tmp_path, jaxgen):
    """With several players and an option of several numbers, which the family above does not have."""
    example = Path(__file__).parents[2] / "examples" / "adversarial_autoencoder.py"
    options = ["--data", "digits", "--hidden", "16", "8", "--log-every", "2", "--image-every", "6"]

    def train_and_sample(name, *steps):
        folder, samples = tmp_path / name, tmp_path / f"{name}.npz"
        for number, until in enumerate(steps):
            given = ["--resume"] if number else options
            assert jaxgen("train", example, *given, "--steps", until, "--out", folder).status == 0
        assert jaxgen("sample", folder, "--family", example, "--out", samples, "--n", 3).status == 0
        return np.load(samples)["samples"]

    resumed, uninterrupted = train_and_sample("resumed", 4, 6), train_and_sample("uninterrupted", 6)
    assert resumed.shape == (3, 8, 8, 1)
    np.testing.assert_array_equal(resumed, uninterrupted)
