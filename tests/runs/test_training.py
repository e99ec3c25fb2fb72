"""A run folder: what is in it, going on with it, and everything that can be wrong with it."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import filelock
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import Stream, load
from jaxgen.errors import DivergenceError, InputError
from jaxgen.game import Model, Player, game
from jaxgen.models import REGISTRY, Family, vae
from jaxgen.runs import RunConfig, evaluate_run, load_run, train
from jaxgen.training import loop
from jaxgen.training.checkpoint import save

SETTINGS = RunConfig(
    config=vae.Config(hidden=(16,), latent_dim=3),
    steps=60,
    batch_size=32,
    log_every=10,
    checkpoint_every=20,
    image_every=30,
)


def changed(**changes):
    return dataclasses.replace(SETTINGS, **changes)


def leaves(run):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(run.state)]


def assert_same_bits(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vae"
    train(folder, "vae", SETTINGS)
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return Path(shutil.copytree(finished, tmp_path / "copy"))


def test_everything_is_in_the_folder(finished):
    assert {path.name for path in finished.iterdir() if not path.name.startswith(".")} == {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "samples",
        "summary.json",
        "tensorboard",
    }
    assert list((finished / "tensorboard").glob("events.out.tfevents.*"))
    assert sorted(path.name for path in (finished / "samples").iterdir()) == [
        f"step-{step:08d}-{what}.png" for step in (30, 60) for what in ("reconstructions", "samples")
    ]
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40, 50, 60]
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["step"] == 60
    assert summary["test"]["elbo"] == pytest.approx(
        -summary["test"]["kl"] - summary["test"]["reconstruction"], rel=1e-5
    )


def test_two_lines_load_a_run_and_sample_from_it_without_its_data(finished, monkeypatch):
    def no_data(*_, **__):
        raise AssertionError("the data set was asked for")

    monkeypatch.setattr("jaxgen.data.load", no_data)
    monkeypatch.setattr("jaxgen.data.sources.load", no_data)
    run = load_run(finished)
    samples = run.sample(jax.random.key(0), 16)
    assert samples.shape == (16, 8, 8, 1)
    assert 0 <= float(samples.min()) < float(samples.max()) <= 1
    np.testing.assert_array_equal(samples, run.sample(jax.random.key(0), 16))
    assert not np.array_equal(samples, run.sample(jax.random.key(1), 16))


def test_more_steps_give_the_bits_of_one_long_run(finished, tmp_path):
    train(tmp_path / "run", "vae", changed(steps=30))
    train(tmp_path / "run", "vae", SETTINGS, resume=True)
    assert_same_bits(load_run(tmp_path / "run"), load_run(finished))
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert steps == [10, 20, 30, 40, 50, 60]


def test_a_finished_run_may_be_resumed(copy, finished):
    train(copy, "vae", SETTINGS, resume=True)
    assert_same_bits(load_run(copy), load_run(finished))


def test_a_damaged_checkpoint_is_passed_over(copy, finished):
    for path in (copy / "checkpoints" / "60").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    run = load_run(copy)
    assert run.step == 40
    assert "60" in run.skipped[0]
    said = []
    train(copy, "vae", SETTINGS, resume=True, say=said.append)
    assert any("60" in line for line in said)
    assert "going on from step 40" in said
    assert_same_bits(load_run(copy), load_run(finished))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"settings": changed(batch_size=64)}, "--batch-size 32, not 64"),
        ({"settings": changed(steps=40)}, "trained for 60 steps already"),
        ({"family": "gan", "settings": changed(config=REGISTRY["gan"].config())}, "model 'vae', not 'gan'"),
        ({"resume": False}, "--resume"),
    ],
)
def test_a_run_goes_on_as_it_was(wrong, said, copy):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    arguments = {"family": "vae", "settings": SETTINGS, "resume": True} | wrong
    with pytest.raises(InputError, match=said):
        train(copy, **arguments)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file() and path.name != ".lock"} == {
        path: content for path, content in before.items() if path.name != ".lock"
    }


def test_a_folder_in_use_is_left_alone(copy):
    with filelock.FileLock(copy / ".lock"), pytest.raises(InputError, match="in use by another process"):
        train(copy, "vae", SETTINGS, resume=True)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (changed(batch_size=5000), "5000"),
        (changed(data="digitz"), "did you mean 'digits'?"),
        (changed(config=vae.Config(architecture="conv"), data="ring"), "pictures"),
    ],
)
def test_nothing_is_written_for_a_run_that_cannot_be(config, said, tmp_path):
    with pytest.raises(InputError, match=said):
        train(tmp_path / "run", "vae", config)
    assert not (tmp_path / "run").exists()


def test_a_run_killed_in_its_first_checkpoint_starts_over(copy, finished):
    for folder in (copy / "checkpoints").iterdir():
        if folder.name != "20":
            shutil.rmtree(folder)
    # Orbax has renamed the folder into place, and the process died before the sums of its files were written.
    (copy / "checkpoints" / "20").mkdir(exist_ok=True)
    (copy / "checkpoints" / "20" / "SHA256SUMS").unlink(missing_ok=True)
    said = []
    train(copy, "vae", SETTINGS, resume=True, say=said.append)
    assert any("starting from the beginning" in line for line in said)
    assert_same_bits(load_run(copy), load_run(finished))


def test_what_is_wrong_with_the_test_split_is_known_before_the_training(tmp_path):
    images = np.zeros((40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "few.npz", image=images[:9])
    # Every tenth example is for testing.
    label = np.where(np.arange(40) % 10 == 9, 7, 1)
    np.savez(tmp_path / "new_label.npz", image=images, label=label)
    for name, said in (("few", "test split"), ("new_label", "label 7, the largest of the training split is 1")):
        with pytest.raises(InputError, match=said):
            train(tmp_path / "run", "vae", changed(data=str(tmp_path / f"{name}.npz"), batch_size=4))
        assert not (tmp_path / "run").exists()


def test_points_are_trained_on_and_their_modes_are_counted(tmp_path):
    config = REGISTRY["gan"].config(hidden=(8,), latent_dim=2)
    summary = train(tmp_path / "run", "gan", changed(config=config, data="ring", steps=10, seeds=2))
    assert set(summary["test"]) >= {"modes", "high_quality", "mode_kl"}
    assert len(summary["test"]["modes"]["runs"]) == 2
    assert load_run(tmp_path / "run").sample(jax.random.key(0), 7).shape == (2, 7, 2)


@dataclasses.dataclass(frozen=True)
class DoomedConfig:
    pass


def build_doomed(config, example):
    """One number that goes down by one a turn; its square root is not real from turn 27 on."""

    def loss(key, params, state, batch):
        return params["x"] + 0 * jnp.sqrt(params["x"]), ({}, {})

    players = (Player("counter", ("x",), loss, optax.sgd(1.0)),)
    init, step = game(lambda key, batch: {"x": {"params": jnp.float32(25.5)}}, players)
    return Model(init, step, lambda key, state, n: jnp.full((n, 8, 8, 1), state.params["x"]), players=players)


def test_divergence_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setitem(REGISTRY, "doomed", Family(DoomedConfig, build_doomed, "diverges"))
    with pytest.raises(DivergenceError) as error:
        train(tmp_path / "run", "doomed", changed(config=DoomedConfig()))
    assert "loss of player 'counter' is not finite at step 27; the last good checkpoint is that of step 20" in str(
        error.value
    )
    run = load_run(tmp_path / "run")
    assert run.step == 20
    assert float(run.state.params["x"]) == 5.5


def test_divergence_names_a_checkpoint_that_is_whole(tmp_path, monkeypatch):
    def save_and_damage(folder, step, state, **meta):
        save(folder, step, state, **meta)
        if step == 20:
            (Path(folder) / "20" / "meta" / "metadata").write_text("{")

    monkeypatch.setattr("jaxgen.runs.training.save", save_and_damage)
    monkeypatch.setitem(REGISTRY, "doomed", Family(DoomedConfig, build_doomed, "diverges"))
    with pytest.raises(DivergenceError, match="at step 27; the last good checkpoint is that of step 10"):
        train(tmp_path / "run", "doomed", changed(config=DoomedConfig(), checkpoint_every=10))
    with pytest.raises(DivergenceError, match=r"at step 27; no checkpoint in .* can be used: the checkpoint of"):
        train(tmp_path / "lone", "doomed", changed(config=DoomedConfig()))
    with pytest.raises(DivergenceError, match="at step 27; there is no checkpoint yet"):
        train(tmp_path / "none", "doomed", changed(config=DoomedConfig(), log_every=30))


class TestANewRunThatIsGivenUp:
    @pytest.mark.parametrize("error", [InputError("no room"), OSError("no room"), KeyboardInterrupt()])
    def test_before_its_first_turns_are_over_leaves_no_folder(self, error, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr("jaxgen.runs.training.fit", fail)
        with pytest.raises(type(error)):
            train(tmp_path / "run", "vae", SETTINGS)
        assert list(tmp_path.iterdir()) == []

    def test_for_want_of_room_for_its_config_leaves_no_folder(self, tmp_path, full_disk):
        with full_disk(free=100), pytest.raises(InputError, match=r"config.json could not be written: File too large"):
            train(tmp_path / "run", "vae", SETTINGS)
        assert list(tmp_path.iterdir()) == []

    def test_later_on_keeps_what_it_has(self, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise InputError("no room")

        monkeypatch.setattr("jaxgen.callbacks.image_grid.write_figure", fail)
        with pytest.raises(InputError, match="no room"):
            train(tmp_path / "run", "vae", SETTINGS)
        assert load_run(tmp_path / "run").step == 20
        assert (tmp_path / "run" / "metrics.jsonl").read_text().count("\n") == 3

    def test_a_resumed_one_keeps_its_folder(self, copy, monkeypatch):
        (copy / "metrics.jsonl").write_text("")

        def fail(*_, **__):
            raise InputError("no room")

        monkeypatch.setattr("jaxgen.runs.training.fit", fail)
        with pytest.raises(InputError, match="no room"):
            train(copy, "vae", SETTINGS, resume=True)
        assert load_run(copy).step == 60


def test_turns_and_compiler_are_timed_apart_and_over_all_sessions(tmp_path, monkeypatch):
    """By a clock that stands still, but that a turn takes a second and the compiler an hour."""
    now = 0.0

    def compiler(*arguments):
        program = compile_turns(*arguments)

        def play(key, state, fetched, first, count):
            nonlocal now
            now += int(count)
            return program(key, state, fetched, first, count)

        nonlocal now
        now += 3600
        return play

    compile_turns = loop._compile
    monkeypatch.setattr(loop, "_compile", compiler)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setitem(REGISTRY, "doomed", Family(DoomedConfig, build_doomed, "diverges later than this"))

    def session(steps, **choices):
        summary = train(tmp_path / "run", "doomed", changed(config=DoomedConfig(), steps=steps), **choices)
        assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
        return summary["compile_seconds"], summary["seconds"]

    assert session(15) == (3600, 15)
    assert session(25, resume=True) == (2 * 3600, 25)
    assert session(25, resume=True) == (2 * 3600, 25)  # Nothing was left to do.
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["seconds"] for line in lines] == [10, 5, 5, 5]


def test_a_stream_trains_as_memory_does(finished, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxgen.data.streaming.MEMORY_LIMIT", 0)
    assert isinstance(load("digits"), Stream)
    train(tmp_path / "run", "vae", SETTINGS)
    for x, y in zip(leaves(load_run(finished)), leaves(load_run(tmp_path / "run")), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    held, streamed = (json.loads((folder / "summary.json").read_text()) for folder in (finished, tmp_path / "run"))
    assert streamed["test"] == pytest.approx(held["test"], rel=1e-4)
    assert len(list((tmp_path / "run" / "samples").iterdir())) == 4


def test_several_seeds_are_several_runs(tmp_path):
    summary = train(tmp_path / "run", "vae", changed(seeds=3, steps=20))
    run = load_run(tmp_path / "run")
    samples = run.sample(jax.random.key(0), 5)
    assert samples.shape == (3, 5, 8, 8, 1)
    values = summary["test"]["elbo"]["runs"]
    assert len(set(values)) == 3
    assert summary["test"]["elbo"]["mean"] == pytest.approx(np.mean(values))
    assert summary["test"]["elbo"]["sd"] == pytest.approx(np.std(values, ddof=1))
    assert summary["test"]["elbo"]["worst"] == min(values)
    train(tmp_path / "lone", "vae", changed(seed=2, steps=20))
    alone = evaluate_run(load_run(tmp_path / "lone"))
    assert alone["elbo"] == pytest.approx(values[2], rel=1e-4)
