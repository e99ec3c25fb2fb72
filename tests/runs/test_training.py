"""Training into a run folder: what is in it, what is refused, and what is left of a run that fails."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import filelock
import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import Stream, load
from jaxgen.errors import DivergenceError, InputError
from jaxgen.models import REGISTRY, vae
from jaxgen.runs import RunDescription, evaluate_run, load_run, read_config, train, write_config
from jaxgen.runs.start import Durations
from jaxgen.training import stage_program
from jaxgen.training.checkpoint import save
from tests.small_runs import DIVERGING, LINEAR, DivergingConfig, LinearConfig, assert_same_state, log_lines


@pytest.fixture(scope="module")
def diverging_config(linear_config):
    return dataclasses.replace(linear_config, model_config=DivergingConfig())


def contents(folder):
    """The files of a folder and their contents, without the lock."""
    return {path.relative_to(folder): content for path, content in files(folder).items()}


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


class TestFolder:
    def test_it_holds_config_log_checkpoints_images_and_summary(self, finished_vae):
        assert {path.name for path in finished_vae.iterdir() if not path.name.startswith(".")} == {
            "config.json",
            "metrics.jsonl",
            "checkpoints",
            "samples",
            "summary.json",
            "tensorboard",
        }
        assert list((finished_vae / "tensorboard").glob("events.out.tfevents.*"))
        assert sorted(path.name for path in (finished_vae / "samples").iterdir()) == [
            f"step-{step:08d}-{kind}.png" for step in (30, 60) for kind in ("reconstructions", "samples")
        ]
        assert [line["step"] for line in log_lines(finished_vae)] == [10, 20, 30, 40, 50, 60]
        assert not any("seeds" in line for line in log_lines(finished_vae))
        summary = json.loads((finished_vae / "summary.json").read_text())
        assert (summary["family"], summary["data"], summary["step"]) == ("vae", "digits", 60)
        assert summary["diverged"] == {}
        assert summary["test"]["elbo"] == pytest.approx(
            -summary["test"]["kl"] - summary["test"]["reconstruction"], rel=1e-5
        )

    def test_a_run_is_loaded_and_sampled_from_without_its_data(self, finished_vae, monkeypatch):
        def no_data(*_, **__):
            raise AssertionError("the data set was loaded")

        monkeypatch.setattr("jaxgen.data.load", no_data)
        monkeypatch.setattr("jaxgen.data.sources.load", no_data)
        run = load_run(finished_vae)
        samples = run.sample(jax.random.key(0), 16)
        assert samples.shape == (16, 8, 8, 1)
        assert 0 <= float(samples.min()) < float(samples.max()) <= 1
        np.testing.assert_array_equal(samples, run.sample(jax.random.key(0), 16))
        assert not np.array_equal(samples, run.sample(jax.random.key(1), 16))

    def test_a_state_has_a_leading_axis_of_seeds_on_everything_but_the_step(self, finished, finished_two_seeds):
        for folder, seeds in ((finished, 1), (finished_two_seeds, 2)):
            state = load_run(folder, family=LINEAR).state
            assert state.step.shape == ()
            assert {leaf.shape[0] for leaf in jax.tree.leaves(state.replace(step=None))} == {seeds}
            assert int(state.step) == 60

    def test_a_model_without_figures_has_no_folder_of_them(self, tmp_path, linear_config):
        config = dataclasses.replace(linear_config, model_config=LinearConfig(samples=False), steps=10)
        train(tmp_path / "run", LINEAR, config)
        assert not (tmp_path / "run" / "samples").exists()
        assert [set(line) for line in log_lines(tmp_path / "run")] == [
            {"step", "seconds", "net/loss", "net/gradient_norm"}
        ]


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"batch_size": 64}, "--batch-size 32, not 64"),
            ({"steps": 40}, "trained for 60 steps already: give at least that many as --steps"),
            ({"model_config": LinearConfig(latent_dim=4)}, "--latent-dim 3, not 4"),
            ({"family": "gan", "model_config": REGISTRY["gan"].config()}, "model 'linear', not 'gan'"),
            ({"resume": False}, "--resume"),
        ],
    )
    def test_a_run_is_resumed_only_as_it_was(self, changes, message, copy, linear_config):
        before = files(copy)
        family, resume = changes.get("family", LINEAR), changes.get("resume", True)
        changes = {name: value for name, value in changes.items() if name not in ("family", "resume")}
        with pytest.raises(InputError, match=message):
            train(copy, family, dataclasses.replace(linear_config, **changes), resume=resume)
        assert files(copy) == before

    def test_a_folder_in_use_is_not_changed(self, copy, linear_config):
        before = files(copy)
        with filelock.FileLock(copy / ".lock"), pytest.raises(InputError, match="in use by another process"):
            train(copy, LINEAR, linear_config, resume=True)
        assert files(copy) == before

    def test_a_lock_that_is_a_link_is_refused_and_not_followed(self, copy, linear_config):
        (copy / ".lock").unlink(missing_ok=True)
        (copy / ".lock").symlink_to(copy.parent / "absent")
        with pytest.raises(
            InputError, match=r"\.lock cannot be locked \(Too many levels of symbolic links\): remove it"
        ):
            train(copy, LINEAR, linear_config, resume=True)
        assert not (copy.parent / "absent").exists()

    def test_a_folder_that_a_killed_process_has_only_locked_is_new(self, tmp_path, linear_config):
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / ".lock").touch()
        train(tmp_path / "run", LINEAR, dataclasses.replace(linear_config, steps=2))
        assert (tmp_path / "run" / "summary.json").is_file()

    def test_a_folder_with_nothing_but_what_a_killed_process_left_is_new(self, tmp_path, linear_config, finished):
        folder = tmp_path / "run"
        shutil.copytree(finished / "tensorboard", folder / "tensorboard")
        (folder / "metrics.jsonl").write_text((finished / "metrics.jsonl").read_text())
        (folder / "samples").mkdir()
        (folder / "checkpoints" / ".20.new").mkdir(parents=True)
        for name in (".lock", ".config.json.tmp", ".metrics.jsonl.tmp"):
            (folder / name).write_text("{")
        train(folder, LINEAR, dataclasses.replace(linear_config, steps=20))
        assert [line["step"] for line in log_lines(folder)] == [10, 20]
        assert load_run(folder, family=LINEAR).step == 20
        assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == [".lock"]

    @pytest.mark.parametrize(
        "name", ["notes.txt", "samples/step-20.png", "checkpoints/20/x", "tensorboard/x", "config.json"]
    )
    def test_a_folder_with_anything_else_is_not_new(self, name, tmp_path, linear_config):
        (tmp_path / "run" / name).parent.mkdir(parents=True)
        (tmp_path / "run" / name).write_text("mine")
        with pytest.raises(InputError, match="exists: give another --out, or --resume"):
            train(tmp_path / "run", LINEAR, linear_config)
        assert list(files(tmp_path)) == [tmp_path / "run" / name]

    @pytest.mark.parametrize("changes", [{}, {"seed": 5}])
    def test_a_run_that_another_process_has_finished_meanwhile_is_not_changed(
        self, changes, finished, tmp_path, linear_config, monkeypatch
    ):
        """Both processes found no folder; the other one has trained while this one read its data."""

        def wait_for_the_other(*_, **__):
            shutil.copytree(finished, tmp_path / "run")
            return

        monkeypatch.setattr("jaxgen.runs.preparation.load_test_split", wait_for_the_other)
        with pytest.raises(InputError, match="run exists: give another --out"):
            train(tmp_path / "run", LINEAR, dataclasses.replace(linear_config, **changes))
        assert contents(tmp_path / "run") == contents(finished)

    def test_a_run_that_another_process_has_changed_meanwhile_is_not_resumed(self, copy, linear_config, monkeypatch):
        other = dataclasses.replace(linear_config, batch_size=16)

        def wait_for_the_other(config, example, open_split):
            write_config(copy, RunDescription("linear", other, example))

        monkeypatch.setattr("jaxgen.runs.preparation.load_test_split", wait_for_the_other)
        with pytest.raises(InputError, match="--batch-size 16, not 32"):
            train(copy, LINEAR, linear_config, resume=True)
        assert read_config(copy, family=LINEAR).config == other

    def test_a_path_with_a_zero_byte_is_refused(self, linear_config):
        with pytest.raises(InputError, match="a path must not contain a zero byte, got"):
            train("a\0b", LINEAR, linear_config)

    def test_a_file_is_not_a_folder(self, tmp_path, linear_config):
        (tmp_path / "run").write_text("")
        for resume in (False, True):
            with pytest.raises(InputError, match="is a file, and a run is stored in a folder"):
                train(tmp_path / "run", LINEAR, linear_config, resume=resume)

    def test_a_folder_without_a_run_is_not_resumed(self, tmp_path, linear_config):
        with pytest.raises(InputError, match=r"is not a run folder: it has no config\.json"):
            train(tmp_path / "run", LINEAR, linear_config, resume=True)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"batch_size": 5000}, "5000"),
            ({"data": "digitz"}, r"did you mean 'digits'\?"),
            ({"model_config": vae.Config(architecture="conv"), "data": "ring"}, "use 'mlp' for points"),
        ],
    )
    def test_nothing_is_written_for_an_impossible_run(self, changes, message, tmp_path, vae_config):
        with pytest.raises(InputError, match=message):
            train(tmp_path / "run", "vae", dataclasses.replace(vae_config, **changes))
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("options", [DivergingConfig(), {"latent_dim": 3}, LinearConfig(change=float("nan"))])
    @pytest.mark.parametrize("custom", [True, False])
    def test_options_that_cannot_be_read_again_are_refused(self, options, custom, tmp_path, linear_config):
        model = LINEAR.build(LinearConfig(), {"image": np.zeros((1, 8, 8, 1), np.uint8)}) if custom else None
        message = "--change must be finite" if isinstance(options, LinearConfig) else "a linear Config, got"
        with pytest.raises(InputError, match=message):
            train(tmp_path / "run", LINEAR, dataclasses.replace(linear_config, model_config=options), model=model)
        assert not (tmp_path / "run").exists()

    def test_an_unknown_family_is_refused(self, tmp_path, vae_config):
        with pytest.raises(InputError, match=r"there is no model 'veae': did you mean 'vae'\?"):
            train(tmp_path / "run", "veae", vae_config)

    def test_a_wrong_test_split_is_refused_before_the_training(self, tmp_path, linear_config):
        images = np.zeros((40, 8, 8, 1), np.uint8)
        np.savez(tmp_path / "single.npz", image=images, label=np.arange(40))
        for i, name in enumerate(["train/a"] * 5 + ["test/b"]):
            (tmp_path / "new_label" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i, ..., 0]).save(tmp_path / "new_label" / name / f"{i}.png")
        refused = {
            "single.npz": "must have a class of at least 2 examples for a test split",
            "new_label": "must be labels of the training images, got 'b'",
        }
        for name, message in refused.items():
            config = dataclasses.replace(linear_config, data=str(tmp_path / name), batch_size=4)
            with pytest.raises(InputError, match=message):
                train(tmp_path / "run", LINEAR, config)
            assert not (tmp_path / "run").exists()


class TestDivergence:
    def test_the_last_checkpoint_before_it_is_named_and_kept(self, tmp_path, diverging_config):
        with pytest.raises(DivergenceError) as error:
            train(tmp_path / "run", DIVERGING, diverging_config)
        assert str(error.value) == (
            "the loss of player 'counter' is not finite at step 27; the last checkpoint before it is that of step 20"
        )
        run = load_run(tmp_path / "run", family=DIVERGING)
        assert run.step == 20
        assert run.state.params["x"].tolist() == [5.5]

    def test_damaged_and_missing_checkpoints_are_named(self, tmp_path, diverging_config, monkeypatch):
        def save_and_damage(folder, step, state, **meta):
            save(folder, step, state, **meta)
            if step == 20:
                (folder / "20" / "meta" / "metadata").write_text("{")

        monkeypatch.setattr("jaxgen.callbacks.checkpoints.save", save_and_damage)
        for name, changes, message in [
            ("run", {"checkpoint_every": 10}, "at step 27; the last checkpoint before it is that of step 10"),
            ("single", {}, r"at step 27; no checkpoint in .* can be used: the checkpoint of step 20 is damaged"),
            ("none", {"log_every": 30}, "at step 27; there is no checkpoint yet"),
        ]:
            with pytest.raises(DivergenceError, match=message):
                train(tmp_path / name, DIVERGING, dataclasses.replace(diverging_config, **changes))
            assert (tmp_path / name / "config.json").is_file()


class TestNewRunThatFails:
    @pytest.mark.parametrize("error", [InputError("no space"), OSError("no space"), KeyboardInterrupt()])
    def test_before_its_first_chunk_is_complete_it_leaves_no_folder(self, error, tmp_path, linear_config, monkeypatch):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr("jaxgen.runs.training.fit", fail)
        with pytest.raises(type(error)):
            train(tmp_path / "run", LINEAR, linear_config)
        assert list(tmp_path.iterdir()) == []

    def test_it_deletes_neither_an_empty_folder_that_was_there_nor_that_of_another_process(
        self, tmp_path, linear_config, finished, monkeypatch
    ):
        (tmp_path / "empty").mkdir()

        def fail(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr("jaxgen.runs.training.fit", fail)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "empty", LINEAR, linear_config)
        assert list((tmp_path / "empty").iterdir()) == []

        def fail_after_another_took_its_place(*_, **__):
            shutil.rmtree(tmp_path / "run")
            shutil.copytree(finished, tmp_path / "run")
            for path in (tmp_path / "run" / "checkpoints").iterdir():
                shutil.rmtree(path)
            (tmp_path / "run" / "metrics.jsonl").write_text("")
            raise KeyboardInterrupt

        monkeypatch.setattr("jaxgen.runs.training.fit", fail_after_another_took_its_place)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "run", LINEAR, linear_config)
        assert (tmp_path / "run" / "config.json").is_file()

    def test_without_space_for_its_config_it_leaves_no_folder(self, tmp_path, linear_config, full_disk):
        message = r"config.json could not be written: File too large"
        with full_disk(free=100), pytest.raises(InputError, match=message):
            train(tmp_path / "run", LINEAR, linear_config)
        assert list(tmp_path.iterdir()) == []

    def test_after_its_first_chunk_it_keeps_its_folder(self, tmp_path, linear_config, monkeypatch):
        def fail(*_, **__):
            raise InputError("no space")

        monkeypatch.setattr("jaxgen.plot.save", fail)
        with pytest.raises(InputError, match="no space"):
            train(tmp_path / "run", LINEAR, dataclasses.replace(linear_config, image_every=30))
        assert load_run(tmp_path / "run", family=LINEAR).step == 20
        assert len(log_lines(tmp_path / "run")) == 3

    def test_a_resumed_run_keeps_its_folder(self, copy, linear_config, monkeypatch):
        (copy / "metrics.jsonl").write_text("")

        def fail(*_, **__):
            raise InputError("no space")

        monkeypatch.setattr("jaxgen.runs.training.fit", fail)
        with pytest.raises(InputError, match="no space"):
            train(copy, LINEAR, linear_config, resume=True)
        assert load_run(copy, family=LINEAR).step == 60


class TestRemovedWhileItTrains:
    @pytest.mark.parametrize("name", ["", "config.json", "metrics.jsonl"])
    @pytest.mark.parametrize("step", [20, 60])
    def test_the_run_ends_with_an_error(self, name, step, tmp_path, linear_config, monkeypatch):
        folder = tmp_path / "run"
        config = dataclasses.replace(linear_config, model_config=LinearConfig(samples=False), image_every=10)

        class Remove:
            def __init__(self, *_, **__):
                pass

            def __call__(self, chunk):
                if chunk.step == step:
                    shutil.rmtree(folder) if name == "" else (folder / name).unlink()

        monkeypatch.setattr("jaxgen.runs.training.ImageGrid", Remove)
        with pytest.raises(InputError, match=f"run/{name}.* was removed while the run was training"):
            train(folder, LINEAR, config)
        assert not (folder / "checkpoints" / str(step)).exists()
        assert not (folder / "summary.json").exists()

    def test_a_changed_log_is_not_written_to(self, tmp_path, linear_config, monkeypatch):
        def change(chunk):
            (tmp_path / "run" / "metrics.jsonl").write_text("another\n")

        monkeypatch.setattr("jaxgen.runs.training.ImageGrid", lambda *_, **__: change)
        with pytest.raises(InputError, match=r"metrics\.jsonl was removed or changed .* ends after step 10"):
            train(tmp_path / "run", LINEAR, linear_config)
        assert (tmp_path / "run" / "metrics.jsonl").read_text() == "another\n"


class TestChangedInputs:
    """What a run was trained with is stored beside every state."""

    def test_a_changed_config_is_named(self, copy, linear_config):
        """A complete file of another run, as a change of this one is noticed without the checkpoint."""
        description = read_config(copy, family=LINEAR)
        changed = dataclasses.replace(linear_config, model_config=LinearConfig(latent_dim=7))
        write_config(copy, description._replace(config=changed))
        with pytest.raises(InputError, match="of another model"):
            train(copy, LINEAR, changed, resume=True)
        # A change that no shape shows.
        changed = dataclasses.replace(linear_config, batch_size=33)
        write_config(copy, description._replace(config=changed))
        message = (
            "config.json was changed after .*/checkpoints/60 was written, which is of a run with --batch-size 32, not"
        )
        with pytest.raises(InputError, match=message):
            train(copy, LINEAR, changed, resume=True)
        with pytest.raises(InputError, match=message):
            load_run(copy, family=LINEAR)

    def test_steps_and_the_folder_of_the_data_may_change(self, copy, linear_config, tmp_path):
        config = dataclasses.replace(linear_config, steps=80, data_dir=str(tmp_path))
        train(copy, LINEAR, config, resume=True)
        assert load_run(copy, family=LINEAR).step == 80

    def test_other_examples_are_refused(self, tmp_path, linear_config):
        images = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 1), np.uint8)
        config = dataclasses.replace(linear_config, data=str(tmp_path / "x.npz"), batch_size=4, steps=20)

        def resume_with(images):
            np.savez(tmp_path / "x.npz", image=images)
            return train(tmp_path / "run", LINEAR, dataclasses.replace(config, steps=40), resume=True)

        np.savez(tmp_path / "x.npz", image=images)
        train(tmp_path / "run", LINEAR, config)
        other = images.copy()
        other[0, 0, 0, 0] ^= 1
        with pytest.raises(InputError, match=r"x\.npz has other examples of the same shape since .*run was trained"):
            resume_with(other)
        with pytest.raises(InputError, match=r"x\.npz has \d+ examples, not \d+ since"):
            resume_with(images[:50])
        assert resume_with(images)["step"] == 40

    def test_lines_dropped_from_the_log_are_counted(self, copy, linear_config):
        with (copy / "metrics.jsonl").open("a") as log:
            log.write('{"step": 70, "seconds": 1.0}\n{"step": 80, "sec')
        notices = []
        train(copy, LINEAR, linear_config, resume=True, notify=notices.append)
        assert "lines of the log after step 60 are computed again: 1" in notices
        assert "incomplete lines of the log were dropped: 1" in notices


def test_steps_and_compilation_are_timed_separately_and_over_all_sessions(tmp_path, diverging_config, monkeypatch):
    """The clock advances by one second per step and by one hour per compilation, and not otherwise."""
    clock, compile_stage = SimpleNamespace(now=0.0), stage_program.compile_stage

    def compile_slowly(*arguments):
        program = compile_stage(*arguments)
        clock.now += 3600

        def run_slowly(keys, state, fetched, first, count):
            clock.now += int(count)
            return program(keys, state, fetched, first, count)

        return run_slowly

    monkeypatch.setattr(stage_program, "compile_stage", compile_slowly)
    monkeypatch.setattr(stage_program, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def session(steps, **choices):
        config = dataclasses.replace(diverging_config, steps=steps)
        summary = train(tmp_path / "run", DIVERGING, config, **choices)
        assert summary == json.loads((tmp_path / "run" / "summary.json").read_text())
        return summary["compile_seconds"], summary["seconds"]

    assert session(15) == (3600, 15)
    assert session(25, resume=True) == (2 * 3600, 25)
    assert session(25, resume=True) == (2 * 3600, 25)  # No step was left.
    assert [line["seconds"] for line in log_lines(tmp_path / "run")] == [10, 5, 5, 5]


@pytest.mark.parametrize("seconds", ["abc", None, True, -1.0, float("nan"), float("inf"), [1.0]])
def test_edited_durations_raise_input_error(seconds):
    assert Durations.stored({"seconds": 2, "diverged": {}}) == Durations(2.0, 0.0)
    with pytest.raises(InputError, match="'compile_seconds' of a checkpoint must be a number of seconds, got"):
        Durations.stored({"seconds": 1.0, "compile_seconds": seconds})


def test_a_stream_gives_the_result_of_arrays(finished, tmp_path, linear_config, monkeypatch):
    monkeypatch.setattr("jaxgen.data.streaming.MEMORY_LIMIT", 0)
    assert isinstance(load("digits"), Stream)
    train(tmp_path / "run", LINEAR, linear_config)
    arrays, streamed = (load_run(folder, family=LINEAR) for folder in (finished, tmp_path / "run"))
    for x, y in zip(jax.tree.leaves(arrays.state), jax.tree.leaves(streamed.state), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (finished, tmp_path / "run")]
    assert summaries[1]["test"] == pytest.approx(summaries[0]["test"], rel=1e-4)
    names = [sorted(path.name for path in (folder / "samples").iterdir()) for folder in (finished, tmp_path / "run")]
    assert names[0] == names[1]
    assert len(names[1]) == 2


class TestSeveralSeeds:
    def test_each_seed_is_evaluated(self, finished_two_seeds, tmp_path, linear_config):
        summary = json.loads((finished_two_seeds / "summary.json").read_text())["test"]["mse"]
        assert load_run(finished_two_seeds, family=LINEAR).sample(jax.random.key(0), 5).shape == (2, 5, 8, 8, 1)
        values = summary["seeds"]
        assert len(set(values)) == 2
        assert summary["mean"] == pytest.approx(np.mean(values))
        assert summary["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-4)
        assert summary["worst"] == max(values)
        train(tmp_path / "single", LINEAR, dataclasses.replace(linear_config, seed=1))
        alone = evaluate_run(load_run(tmp_path / "single", family=LINEAR))
        assert alone["mse"] == pytest.approx(values[1], rel=1e-4)

    def test_lines_of_the_log_have_means_and_the_values_of_all_seeds(self, finished, finished_two_seeds):
        for single, line in zip(log_lines(finished), log_lines(finished_two_seeds), strict=True):
            assert set(line) == set(single) | {"seeds"}
            assert set(line["seeds"]) == set(single) - {"step", "seconds"}
            for name, values in line["seeds"].items():
                assert line[name] == pytest.approx(np.mean(values), rel=1e-6)
            # Seed 0 of two is the run with seed 0.
            assert line["seeds"]["net/loss"][0] == pytest.approx(single["net/loss"], rel=1e-5)
            assert line["seeds"]["net/loss"][0] != line["seeds"]["net/loss"][1]

    def test_a_seed_that_diverges_is_left_out(self, tmp_path, diverging_config):
        """The number of each seed starts at 4.5 or at 1000.5, so that only some have a negative number at step 20."""
        notices = []

        def build(config, example):
            model = DIVERGING.build(config, example)

            def init(key, batch):
                state = model.init(key, batch)
                return state.replace(params={"x": jax.numpy.where(jax.random.bernoulli(key), 4.5, 1000.5)})

            return model._replace(init=init)

        config = dataclasses.replace(diverging_config, seeds=6, seed=3, steps=20)
        summary = train(tmp_path / "run", DIVERGING._replace(build=build), config, notify=notices.append)
        run = load_run(tmp_path / "run", family=DIVERGING._replace(build=build))
        assert 0 < len(run.diverged) < 6
        assert {where.step for where in run.diverged.values()} == {6}
        assert set(summary["diverged"]) == {str(seed) for seed in run.diverged}
        assert run.first_finite == min(set(range(6)) - set(run.diverged))
        for seed, notice in zip(sorted(run.diverged), notices, strict=True):
            assert notice.startswith(f"the run with seed {3 + seed} was left out: the loss of player 'counter'")
        line = log_lines(tmp_path / "run")[-1]
        assert [value is None for value in line["seeds"]["counter/loss"]] == [seed in run.diverged for seed in range(6)]
        assert line["counter/loss"] == pytest.approx(1000.5 - 14.5)


def test_images_and_measurements_do_not_change_the_training(finished, tmp_path, linear_config):
    """The callbacks have keys of their own."""
    config = dataclasses.replace(linear_config, image_every=20)
    train(tmp_path / "run", LINEAR, config)
    assert_same_state(*(load_run(folder, family=LINEAR) for folder in (tmp_path / "run", finished)))
    measured = [line["step"] for line in log_lines(tmp_path / "run") if "samples/sliced_wasserstein" in line]
    assert measured == [20, 40, 60]
    last = [log_lines(folder)[-1]["samples/sliced_wasserstein"] for folder in (tmp_path / "run", finished)]
    assert last[0] == last[1]
