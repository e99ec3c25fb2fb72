"""`jaxgen train`: options, resumed runs, presets, images of the user, and the default run folder."""

import dataclasses
import json
import re
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.cli.options import options_of
from jaxgen.cli.train import Options, _default_folder
from jaxgen.data import Augmentation
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.runs import RunConfig, load_run
from jaxgen.runs.sweep_runs import SweepResult
from jaxgen.training.states import initial_state

SMALL = ["--hidden", "16", "--latent-dim", "2", "--batch-size", "8"]


@pytest.mark.parametrize("family", REGISTRY)
def test_every_option_is_described_with_its_default(family, jaxgen):
    help_text = jaxgen("train", family, "--help").out
    assert "None" not in help_text
    options = options_of(Options, Options(RunConfig(REGISTRY[family].config())))
    assert re.sub(r"[\s│]+", " ", help_text).count("(true by default)") == sum(
        option.default is True for option in options
    )
    assert {"--steps", "--seeds", "--resume", "--learning-rate", "--schedule"} < {option.name for option in options}
    for option in options:
        shown = f"--no-{option.name[2:]}" if option.default is True else option.name
        assert f" {shown} " in help_text
        assert len(option.help.split()) > 3, option.name
        if option.default is None:
            assert re.search("default|required|in place of", option.help), option.name


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


def test_dry_run_prints_options_and_parameters_and_writes_nothing(tmp_path, jaxgen, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = jaxgen("train", "wgan-gp", "--data", "ring", "--hidden", 8, "--seeds", 2, "--dry-run")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("wgan-gp on ring, 2 seeds: 100,000 training examples, point float32 [2]")
    rows = [line.split() for line in result.out.splitlines()]
    assert ["penalty_weight", "0.1"] in rows
    assert ["batch_size", "64"] in rows  # Of the preset.
    assert ["generator:", f"{2 * 8 + 8 + 8 * 2 + 2}", "parameters"] in rows
    assert list(tmp_path.iterdir()) == []
    assert "apply to images only" in refused("train", "gan", "--data", "ring", "--flip", "--dry-run")


@pytest.mark.parametrize(("given", "size"), [([], "64"), (["--batch-size", "32"], "32")])
def test_the_batch_size_is_that_of_the_preset_unless_another_is_given(given, size, tmp_path, jaxgen, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options.yaml").write_text("model: wgan-gp\nhidden: [8]\n")
    for model in (["wgan-gp", "--hidden", 8], ["--config", "options.yaml"]):
        result = jaxgen("train", *model, "--data", "ring", *given, "--dry-run")
        assert ["batch_size", size] in [line.split() for line in result.out.splitlines()]


def test_sweep_prints_a_table_and_writes_runs_and_figures(tmp_path, jaxgen, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ("autoencoder", "--hidden", 4, "--latent-dim", 2, "--steps", 2, "--log-every", 2)
    result = jaxgen("train", *common, "--sweep", "l1=0,0.5", "--seeds", 2)
    assert result.status == 0
    assert result.out.startswith("autoencoder on the test split of digits, step 2\n")
    assert result.out.endswith("folder of the runs: runs/autoencoder-digits-sweep\n")
    assert result.out.count(" ± ") == 4
    folder = tmp_path / "runs" / "autoencoder-digits-sweep"
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoints",
        "l1=0",
        "l1=0.5",
        "mse.png",
        "squared_error.png",
        "sweep.json",
    ]
    assert load_run(folder / "l1=0.5").config.model_config.l1 == 0.5
    longer = ("autoencoder", "--steps", 4, "--sweep", "l1=0,0.5", "--out", folder, "--resume")
    assert jaxgen("train", *longer).out.startswith("autoencoder on the test split of digits, step 4\n")
    assert load_run(folder / "l1=0.5").step == 4
    assert "apply to single runs" in refused("train", *common, "--sweep", "l1=0,1", "--dry-run")
    sentence = refused("compare", folder, folder / "l1=0", "--out", tmp_path / "x.png")
    assert sentence.endswith("sweep is not a run folder: it has no config.json; run folders in it are l1=0, l1=0.5")


@pytest.mark.parametrize("given", [["--learning-rate", "0.5"], ["--learning_rate=0.5"]])
def test_an_option_that_is_swept_is_not_given_as_well(given, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = refused("train", "vae", *given, "--sweep", "learning_rate=1e-3,1e-4")
    assert sentence == "--learning-rate is swept, and one value of it is given as well: leave out one of them"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [["--metrics"], ["--metrics", "--steps", 3], ["--metrics", "--sweep", "beta=1,2"]])
def test_metrics_without_a_name_are_refused(given, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = "--metrics must be followed by at least one name of a metric, got none"
    assert refused("train", "vae", *given) == message
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def started(monkeypatch):
    """The trainings that commands start, without training: folder, family, config and preset of each."""
    found = []

    def train(folder, family, config, *, preset=None, **_):
        found.append((folder, family, config, preset))
        return {"test": {}}

    monkeypatch.setattr("jaxgen.cli.train.train", train)
    return found


def test_config_of_a_run_repeats_it_with_other_options(vae, tmp_path, jaxgen, started):
    before = load_run(vae).config
    for arguments in (
        ["--config", vae / "config.json", "--steps", 7],
        ["--steps", 7, f"--config={vae / 'config.json'}"],
        ["vae", "--steps", 7, "--config", vae / "config.json"],
    ):
        assert jaxgen("train", *arguments, "--out", tmp_path / "again").status == 0
    expected = (tmp_path / "again", REGISTRY["vae"], dataclasses.replace(before, steps=7), None)
    assert started == [expected] * 3


def test_preset_of_a_config_file_names_the_run_and_its_folder(tmp_path, jaxgen, started, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ring.yaml").write_text("model: wgan-gp\ndata: ring\n")
    assert jaxgen("train", "--config", "ring.yaml").out == "run folder: runs/wgan-gp-ring\n"
    ((_, family, config, preset),) = started
    assert (family.name, config.data, preset) == ("gan", "ring", "wgan-gp")
    assert config.model_config == PRESETS["wgan-gp"].config


def test_config_files_that_do_not_apply_are_refused(vae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = vae / "config.json"
    assert "is of the model 'vae', not 'gan': leave the model out" in refused("train", "gan", "--config", file)
    assert "--config needs a value" in refused("train", "vae", "--config", "--steps", 3)
    assert "a run that is resumed keeps its own" in refused("train", "vae", "--config", file, "--resume")
    assert "there is no config file 'absent.json'" in refused("train", "--config", "absent.json")
    assert "has no option '--stps': did you mean '--steps'?" in refused("train", "--config", file, "--stps")
    assert "--config must be given once" in refused("train", "--config", file, "--config", file)
    (tmp_path / "own.yaml").write_text("model: linear")
    assert "is of the model 'linear', which is not part of jaxgen" in refused("train", "--config", "own.yaml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.yaml"]


def test_preset_survives_in_the_run_folder_and_in_titles(tmp_path, jaxgen):
    run = tmp_path / "run"
    arguments = ("lsgan", "--data", "ring", "--hidden", 4, "--steps", 1, "--out", run)
    assert jaxgen("train", *arguments).out.startswith("lsgan on the test split of ring, step 1\n")
    assert json.loads((run / "config.json").read_text())["preset"] == "lsgan"
    assert load_run(run).name == "lsgan"
    resumed = jaxgen("train", "gan", "--out", run, "--resume", "--steps", 2)
    assert resumed.out.startswith("lsgan on the test split of ring, step 2\n")
    assert json.loads((run / "summary.json").read_text())["preset"] == "lsgan"
    assert jaxgen("evaluate", run).out.startswith("lsgan on the test split of ring, step 2\n")


def test_augmentation_changes_the_images_of_the_training_and_not_of_the_evaluation(tmp_path, jaxgen, refused):
    """Of a run of eight seeds on copies of one image, which its mirror image replaces with probability 1/2."""
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 1), np.uint8)
    np.savez(tmp_path / "same.npz", image=np.stack([image] * 20))
    common = ("autoencoder", "--hidden", 8, "--latent-dim", 2, "--steps", 1, "--log-every", 1, "--batch-size", 1)
    options = ("--data", tmp_path / "same.npz", "--seeds", 8, "--flip", "--out", tmp_path / "run")
    assert jaxgen("train", *common, *options).status == 0
    run = load_run(tmp_path / "run")
    first = initial_state(run.model, run.config.keys, run.example)

    def errors(state, shown):
        """The squared error of an image in each seed, summed over its pixels."""
        decoded = np.asarray(run._replace(state=state).reconstruct({"image": shown[None]}))[:, 0]
        return np.square(decoded - shown / 255).sum(axis=(1, 2, 3))

    logged = json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["seeds"]["autoencoder/loss"]
    plain, mirrored = (np.isclose(logged, errors(first, shown), rtol=1e-4) for shown in (image, image[:, ::-1]))
    np.testing.assert_array_equal(plain, ~mirrored)
    assert 0 < plain.sum() < 8
    evaluated = json.loads((tmp_path / "run" / "summary.json").read_text())["test"]["squared_error"]["seeds"]
    np.testing.assert_allclose(evaluated, errors(run.state, image), rtol=1e-4)
    sentence = refused("train", "gan", "--data", "ring", "--shift", 1, "--out", tmp_path / "points")
    assert sentence.startswith("flip, shift and crop apply to images only, got examples with")
    assert not (tmp_path / "points").exists()


def test_the_options_of_augmentation_are_those_of_the_run(jaxgen, started):
    assert jaxgen("train", "vae", "--flip", "--shift", 2, "--crop", 0.8).status == 0
    ((_, _, config, _),) = started
    assert config.augmentation == Augmentation(flip=True, shift=2, crop=0.8)


def test_the_trace_of_a_training_is_named(tmp_path, jaxgen, started):
    assert (
        f"profile: {tmp_path / 'run' / 'profile'}\n"
        in jaxgen("train", "vae", "--profile", "--out", tmp_path / "run").out
    )


def test_metrics_of_any_name_have_figures_of_a_sweep(tmp_path, jaxgen, monkeypatch):
    result = SweepResult(
        {"beta": (1.0, 2.0)}, [{"beta": 1.0}, {"beta": 2.0}], [{"own/PSNR": 1.0}, {"own/PSNR": 2.0}], []
    )
    monkeypatch.setattr("jaxgen.cli.train.train_sweep", lambda *_, **__: result)
    (tmp_path / "sweep").mkdir()
    shown = jaxgen("train", "vae", "--sweep", "beta=1,2", "--out", tmp_path / "sweep")
    assert shown.status == 0
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["own-psnr.png"]


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


def test_the_cost_of_a_step_is_printed_without_a_run(jaxgen, tmp_path):
    command = ("train", "vae", "--hidden", "8", "--latent-dim", "2", "--batch-size", "10", "--out", tmp_path / "run")
    result = jaxgen(*command, "--dry-run", "--cost")
    assert result.status == 0
    assert "training: 10 examples in an update" in result.out
    assert re.search(r"products and convolutions +5\.408e-05 GFLOP\n", result.out)
    for platform in ("cpu", "cuda", "tpu"):
        assert re.search(rf"lowered for {platform} +\S+ GFLOP, of which \d+ % are these", result.out)
    assert not (tmp_path / "run").exists()
    result = jaxgen(*command, "--cost")
    assert result.status == 2
    assert "--cost applies to a training that is not run: give --dry-run as well" in result.err
