"""An exported run comes back with equal bits, and a file that is no exported run is refused in one sentence."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs import load_run, train
from jaxgen.runs.exported_file import Exported, arrays_of, exported_bytes
from jaxgen.runs.exporting import check_export, export_run, import_run
from jaxgen.runs.listing import list_runs
from jaxgen.runs.measured_file import Measured, add_measured
from jaxgen.training.chunk import Divergence
from tests.models.random_states import random_state
from tests.small_runs import LINEAR, stateless

STEP = 40


def random_run(family, seeds=None):
    """A run with random numbers everywhere, those of its averages others than those of its parameters."""
    run = stateless(family, seeds)
    states = [random_state(run.model, run.example, seed=seed) for seed in range(seeds or 1)]
    states = [state.replace(ema=random_state(run.model, run.example, seed=9 + i).ema) for i, state in enumerate(states)]
    state = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    return run._replace(state=state.replace(step=np.int32(STEP)), step=STEP, class_names=tuple("abcdefghij"))


def there_and_back(run, folder, **options):
    export_run(run, folder / "exported" / "model.safetensors", **options)
    import_run(folder / "exported" / "model.safetensors", folder / "run")
    return load_run(folder / "run")


def assert_equal_bits(found, expected):
    found, expected = arrays_of(found), arrays_of(expected)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.asarray(found[name]).tobytes() == np.asarray(array).tobytes(), name
        assert found[name].dtype == array.dtype, name


@pytest.mark.parametrize("family", REGISTRY)
def test_the_state_and_the_description_of_each_family_come_back_with_equal_bits(family, tmp_path):
    run = random_run(family, seeds=2 if family in ("cvae", "gan") else None)
    found = there_and_back(run, tmp_path)
    assert_equal_bits(found.state, run.state)
    assert (found.step, int(found.state.step)) == (STEP, STEP)
    assert found.config == run.config
    assert (found.family, found.class_names, found.imported) == (family, run.class_names, "jaxgen")
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(found.state.opt))
    (listed,) = list_runs(tmp_path / "run")
    assert (listed.model, listed.step, listed.state) == (family, STEP, "imported")


def test_samples_and_latents_of_a_trained_run_come_back_with_equal_bits(finished_vae, tmp_path):
    run = load_run(finished_vae)
    found = there_and_back(run, tmp_path)
    images = {"image": np.arange(2 * 64).reshape(2, 8, 8, 1).astype(np.uint8)}
    assert np.asarray(found.sample(jax.random.key(3), 5)).tobytes() == run.sample(jax.random.key(3), 5).tobytes()
    assert np.asarray(found.encode(images)).tobytes() == run.encode(images).tobytes()


def test_paths_of_every_function_begin_with_the_home_folder_where_they_begin_with_a_tilde(
    finished, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    shutil.copytree(finished, home / "run")
    run = load_run("~/run", family=LINEAR)
    config = dataclasses.replace(run.config, steps=2, log_every=1, checkpoint_every=2, image_every=2)
    train("~/new", LINEAR, config)
    export_run(run, "~/file/weights.safetensors")
    import_run("~/file/weights.safetensors", "~/imported", family=LINEAR)
    assert {path.name for path in home.iterdir()} == {"run", "new", "file", "imported"}
    assert load_run(home / "imported", family=LINEAR).step == run.step


SAMPLING = {
    "vae": ({"params/decoder"}, ["encoder"]),
    "gan": ({"params/generator", "stats/generator"}, ["discriminator"]),
    "stylegan2": ({"ema/generator"}, ["discriminator"]),
}


@pytest.mark.parametrize("family", SAMPLING)
def test_a_file_for_samples_alone_has_what_they_depend_on_and_gives_equal_bits(family, tmp_path):
    """By the equations of the models: a VAE samples by its decoder, a GAN by its generator or that one's average."""
    run, path = random_run(family), tmp_path / "exported" / "model.safetensors"
    export_run(run, path, samples_only=True)
    expected, absent = SAMPLING[family]
    assert {"/".join(name.split("/")[:2]) for name in load_file(path)} == expected & set(parts(run.state))
    assert "The file has only what samples depend on" in (tmp_path / "exported" / "README.md").read_text()
    notices = []
    import_run(path, tmp_path / "run", notify=notices.append)
    assert [notice.split(" has no ")[1].split(":")[0] for notice in notices] == absent
    found = load_run(tmp_path / "run")
    assert np.asarray(found.sample(jax.random.key(3), 5)).tobytes() == run.sample(jax.random.key(3), 5).tobytes()
    assert not found.diverged


def parts(state):
    """Collections and networks of a state."""
    return ["/".join(name.split("/")[:2]) for name in arrays_of(state)]


def test_a_classifier_is_not_exported_for_samples(tmp_path):
    with pytest.raises(InputError, match="the model 'classifier' does not sample: leave out samples_only"):
        export_run(random_run("classifier"), tmp_path / "exported" / "a.safetensors", samples_only=True)
    assert not (tmp_path / "exported").exists()


def test_arrays_that_are_absent_without_a_reason_are_refused(tmp_path):
    run, path = random_run("gan"), tmp_path / "a.safetensors"
    arrays = {name: array for name, array in arrays_of(run.state).items() if "discriminator" not in name}
    path.write_bytes(exported_bytes(Exported(run.description, run.step, {}, arrays)))
    with pytest.raises(InputError, match="must have the arrays of the model of its config, but"):
        import_run(path, tmp_path / "run")


def test_one_of_several_seeds_is_exported_alone(tmp_path):
    run = random_run("vae", seeds=3)
    found = there_and_back(run, tmp_path, run_index=1)
    alone = jax.tree.map(lambda leaf: leaf[1:2], {"params": run.state.params, "stats": run.state.stats})
    assert (found.config.seeds, found.config.seed) == (None, 1)
    assert_equal_bits(found.state, run.state.replace(**alone))
    with pytest.raises(InputError, match="run_index must be a seed that has not diverged, one of 0, 1, 2, got 3"):
        export_run(run, tmp_path / "other" / "a.safetensors", run_index=3)
    assert not (tmp_path / "other").exists()


def test_seeds_that_have_diverged_are_left_out_as_before(tmp_path):
    run = random_run("vae", seeds=2)
    run = run._replace(diverged={1: Divergence(7, "vae", "loss")})
    assert there_and_back(run, tmp_path).diverged == run.diverged
    with pytest.raises(InputError, match="one of 0, got 1"):
        export_run(run, tmp_path / "other" / "a.safetensors", run_index=1)


def test_folders_of_the_machine_are_not_in_the_files_and_other_data_may_be_named(tmp_path):
    run = random_run("vae")
    config = dataclasses.replace(run.config, data="/home/me/photographs", data_dir="/home/me/sets", init_from="/home/x")
    found = there_and_back(run._replace(config=config), tmp_path)
    assert (found.config.data, found.config.data_dir, found.config.init_from) == ("photographs", None, "x")
    for path in (tmp_path / "exported").iterdir():
        assert b"/home" not in path.read_bytes()
    import_run(tmp_path / "exported" / "model.safetensors", tmp_path / "b", data="/somewhere/else", data_dir="/sets")
    config = load_run(tmp_path / "b").config
    assert (config.data, config.data_dir) == ("/somewhere/else", "/sets")


def test_families_and_models_from_outside_are_exported_and_named_again(finished, tmp_path):
    run = load_run(finished, family=LINEAR)
    path = tmp_path / "a.safetensors"
    export_run(run, path)
    with pytest.raises(InputError, match="is of the family 'linear', which is not part of jaxgen: give the file or"):
        import_run(path, tmp_path / "run")
    with pytest.raises(InputError, match=r"a.safetensors is of a run of the model 'linear', not 'other'"):
        import_run(path, tmp_path / "run", family=LINEAR._replace(name="other"))
    import_run(path, tmp_path / "run", family=LINEAR)
    assert_equal_bits(load_run(tmp_path / "run", family=LINEAR).state, run.state)

    custom = tmp_path / "custom" / "a.safetensors"
    export_run(run._replace(custom=True), custom)
    with pytest.raises(InputError, match="was trained from Python with modules or functions of its own"):
        import_run(custom, tmp_path / "own", family=LINEAR)
    import_run(custom, tmp_path / "own", family=LINEAR, model=run.model)
    assert_equal_bits(load_run(tmp_path / "own", family=LINEAR, model=run.model).state, run.state)


def test_an_imported_run_is_not_resumed_and_a_new_one_starts_from_its_weights(finished, linear_config, tmp_path):
    export_run(load_run(finished, family=LINEAR), tmp_path / "a.safetensors")
    import_run(tmp_path / "a.safetensors", tmp_path / "run", family=LINEAR)
    with pytest.raises(InputError, match="imported weights and no optimizer states, so it cannot be resumed: train a"):
        train(tmp_path / "run", LINEAR, linear_config, resume=True)
    config = dataclasses.replace(linear_config, steps=1, log_every=1, init_from=str(tmp_path / "run"))
    assert train(tmp_path / "new", LINEAR, config, notify=lambda line: None)["step"] == 1


class TestCard:
    """The README.md beside the file."""

    def card(self, run, folder, **options):
        path = export_run(run, folder / "exported" / "model.safetensors", **options)
        assert path == folder / "exported" / "README.md"
        return path.read_text()

    def test_it_has_the_command_the_data_the_metrics_with_protocols_and_the_config(self, finished_vae, tmp_path):
        run = load_run(finished_vae)
        text = self.card(run, tmp_path)
        assert "# vae on digits\n" in text
        command = "jaxgen train vae --steps 60 --batch-size 32 --log-every 10 --checkpoint-every 20 --image-every 30"
        assert f"    {command} --hidden 16 --latent-dim 3\n" in text
        assert "digits: images of the shape (8, 8, 1), 10 classes" in text
        elbo = json.loads((finished_vae / "summary.json").read_text())["test"]["elbo"]
        assert f"| elbo | {elbo:.6g} | test split, at the end of the training |" in text
        content = json.loads(text[text.index("```json") + 7 : text.rindex("```")])
        assert content["config"]["model_config"]["latent_dim"] == 3

    def test_metrics_are_those_of_the_exported_state_and_seed(self, tmp_path):
        run = random_run("vae", seeds=2)._replace(folder=tmp_path)
        for step, mean in ((STEP, 3.0), (STEP - 1, 5.0)):
            value = {"mean": mean, "sd": 1.0, "worst": 2.0, "seeds": [mean + 0.25, None]}
            add_measured(tmp_path, Measured(step, "evaluate --metrics fid", 4, {"fid[digits_v1, n=9/9]": value}))
        (row,) = [line for line in self.card(run, tmp_path / "all").splitlines() if "fid" in line]
        assert row == r"| fid\[digits\_v1, n=9/9\] | 3 ± 1 over seeds | jaxgen evaluate --metrics fid --seed 4 |"
        assert "| 3.25 |" in self.card(run, tmp_path / "first", run_index=0)
        assert "| not finite |" in self.card(run, tmp_path / "second", run_index=1)

    def test_metrics_of_a_single_seed_have_no_deviation(self, tmp_path):
        run = random_run("vae", seeds=1)._replace(folder=tmp_path)
        value = {"mean": 3.0, "sd": None, "worst": 3.0, "seeds": [3.0]}
        add_measured(tmp_path, Measured(STEP, "evaluate --metrics fid", 4, {"fid[digits_v1, n=9/9]": value}))
        text = self.card(run, tmp_path / "all")
        assert r"| fid\[digits\_v1, n=9/9\] | 3 | jaxgen evaluate --metrics fid --seed 4 |" in text
        assert f"Step {STEP}, seed {run.config.seed}; " in text

    def test_texts_of_the_user_are_neither_markup_nor_lines(self, tmp_path):
        names = ("a\n# b", "<script>", *map(str, range(8)))
        text = self.card(random_run("vae")._replace(class_names=names), tmp_path)
        assert "\n# b" not in text
        assert r"10 classes: a\\n\# b, \<script\>, 0" in text

    def test_the_command_has_options_of_all_types_and_of_the_preset(self, tmp_path):
        run = random_run("gan")
        options = dataclasses.replace(REGISTRY["gan"].config(), hidden=(), loss="hinge")
        config = dataclasses.replace(run.config, model_config=options, epochs=2.0, flip=True, data="my data")
        text = self.card(run._replace(config=config), tmp_path)
        assert "    jaxgen train gan --data 'my data' --epochs 2.0 --flip --hidden --loss hinge\n" in text


WRONG = {
    "cut": (lambda content: content[:-1], "must be a complete .safetensors file, got"),
    "cut in its header": (lambda content: content[:100], "must be a complete .safetensors file, got 100 bytes"),
    "empty": (lambda content: b"", "must be a complete .safetensors file, got 0 bytes"),
    "text": (lambda content: b"hello, this is a text", "must be a complete .safetensors file, got 21 bytes"),
    "another bit": (
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        "the arrays of .* were changed or damaged",
    ),
    "another option": (lambda content: content.replace(b"latent_dim", b"latnet_dim"), "no option 'latnet_dim'"),
    "another value": (
        lambda content: content.replace(b'steps\\": 5000', b'steps\\": 5001'),
        "the config in .* was changed or damaged after it was written: export the run again",
    ),
    "no format": (
        lambda content: content.replace(b'format\\"', b'formet\\"'),
        r"the config in .* is damaged \(KeyError: 'format'\): export the run again",
    ),
    "no family": (
        lambda content: content.replace(b'family\\"', b'familx\\"'),
        r"the config in .* is damaged \(KeyError: 'family'\): export the run again",
    ),
    "a newer format": (
        lambda content: content.replace(b'format\\": 1', b'format\\": 9'),
        "of a newer jaxgen than this",
    ),
    "no JSON": (lambda content: content.replace(b'{\\"format', b'[\\"format'), "the config in .* must be JSON"),
    "an array": (
        lambda content: content.replace(b"params/encoder", b"params/encodxr"),
        "the arrays of .* were changed",
    ),
}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of an exported run."""
    path = tmp_path_factory.mktemp("content") / "model.safetensors"
    export_run(random_run("vae"), path)
    return path.read_bytes()


class TestWrongFiles:
    @pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
    def test_a_damaged_file_is_refused_and_no_folder_is_written(self, change, sentence, content, tmp_path):
        path = tmp_path / "a.safetensors"
        path.write_bytes(change(content))
        with pytest.raises(InputError, match=sentence) as error:
            import_run(path, tmp_path / "run")
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)
        assert list(tmp_path.iterdir()) == [path]

    def write(self, path, run, arrays):
        """A file with arrays of another model than its config."""
        path.write_bytes(exported_bytes(Exported(run.description, 0, {}, arrays)))

    def test_weights_of_another_config_are_refused_by_the_first_array_that_differs(self, tmp_path):
        run, path = random_run("vae"), tmp_path / "a.safetensors"
        wide = dataclasses.replace(run.config, model_config=REGISTRY["vae"].config(hidden=(17,), latent_dim=2))
        self.write(path, run._replace(config=wide), arrays_of(run.state))
        with pytest.raises(InputError, match=r"a.safetensors .* of its config, but its params/\S+ is float32 .*16"):
            import_run(path, tmp_path / "run")
        arrays = arrays_of(run.state)
        del arrays["params/encoder/Dense_0/bias"]
        self.write(path, run, arrays)
        with pytest.raises(InputError, match="but it has no params/encoder/Dense_0/bias"):
            import_run(path, tmp_path / "run")
        self.write(path, run, arrays_of(run.state) | {"params/more": np.zeros(1)})
        with pytest.raises(InputError, match="but it has params/more, which this model does not have"):
            import_run(path, tmp_path / "run")
        nan = jax.tree.map(lambda leaf: np.full_like(leaf, np.nan), arrays_of(run.state))
        self.write(path, run, nan)
        with pytest.raises(InputError, match="the parameters must be finite, got NaN or infinity"):
            import_run(path, tmp_path / "run")
        assert list(tmp_path.iterdir()) == [path]

    def test_other_files_and_folders_are_refused(self, content, tmp_path):
        weights, path = tmp_path / "weights.safetensors", tmp_path / "a.safetensors"
        save_file({"a": np.zeros(2)}, weights)
        path.write_bytes(content)
        with pytest.raises(InputError, match="must be written by jaxgen export, got a file without a config"):
            import_run(weights, tmp_path / "run")
        with pytest.raises(InputError, match=r"must end in .safetensors, got 'a.npz': for weights of another program"):
            import_run("a.npz", tmp_path / "run")
        with pytest.raises(FileNotFoundError):
            import_run(tmp_path / "absent.safetensors", tmp_path / "run")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "file").touch()
        with pytest.raises(InputError, match=r"run' must be a new or an empty folder, and it is not"):
            import_run(path, tmp_path / "run")


class TestWriting:
    def test_existing_files_are_not_replaced(self, tmp_path):
        run = random_run("vae")
        (tmp_path / "README.md").write_text("mine")
        with pytest.raises(InputError, match=r"README.md exists: give a --to in a folder of its own"):
            export_run(run, tmp_path / "a.safetensors")
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
        export_run(run, tmp_path / "b" / "a.safetensors")
        (tmp_path / "b" / "README.md").unlink()
        with pytest.raises(InputError, match=r"a.safetensors exists: give a --to in a folder of its own"):
            export_run(run, tmp_path / "b" / "a.safetensors")
        with pytest.raises(InputError, match=r"must end in .safetensors, got "):
            export_run(run, tmp_path / "c.npz")

    def test_links_to_nothing_are_not_replaced(self, tmp_path):
        for name in ("a.safetensors", "README.md"):
            link = tmp_path / name
            link.symlink_to(tmp_path / "absent")
            with pytest.raises(InputError, match=f"{name} exists: give a --to in a folder of its own"):
                check_export(tmp_path / "a.safetensors")
            link.unlink()

    def test_a_full_disk_leaves_neither_file(self, full_disk, tmp_path):
        run = random_run("vae")
        with full_disk(6000), pytest.raises(InputError, match=r"a.safetensors could not be written: File too large"):
            export_run(run, tmp_path / "a.safetensors")
        assert list(tmp_path.iterdir()) == []
        export_run(run, tmp_path / "a.safetensors")
        with full_disk(2000), pytest.raises(InputError, match="could not be written"):
            import_run(tmp_path / "a.safetensors", tmp_path / "run")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "a.safetensors"]

    def test_a_kill_while_the_file_is_written_leaves_nothing_half_written(self, finished_vae, tmp_path):
        path = tmp_path / "a.safetensors"
        program = f"""
import contextlib, os, signal
from pathlib import Path
from jaxgen.atomic_write import open_atomic
from jaxgen.runs import exporting, load_run

@contextlib.contextmanager
def killed(path):
    with open_atomic(path) as file:
        class Half:
            def write(self, content):
                file.write(content[: len(content) // 2])
                file.flush()
                if path.suffix == ".safetensors":
                    os.kill(os.getpid(), signal.SIGKILL)
        yield Half()

exporting.open_atomic = killed
exporting.export_run(load_run({str(finished_vae)!r}), Path({str(path)!r}))
"""
        process = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], capture_output=True)
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
        assert {path.name for path in tmp_path.iterdir()} == {".README.md.tmp", ".a.safetensors.tmp"}
        export_run(load_run(finished_vae), path)
        assert {path.name for path in tmp_path.iterdir()} == {"README.md", "a.safetensors"}
        assert load_file(path)
