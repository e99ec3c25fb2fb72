"""`jaxgen report`: the files, the printed table, and invalid arguments."""

import json
import shutil

import pytest

from jaxgen.runs import RunConfig, train
from tests.small_runs import LINEAR, LinearConfig


@pytest.fixture(autouse=True)
def short_birthday_test(monkeypatch):
    monkeypatch.setattr("jaxgen.report.birthday.TRIALS", 2)


def test_report_is_written_and_its_metrics_are_printed(vae, tmp_path, jaxgen):
    result = jaxgen("report", vae, "--out", tmp_path / "deep" / "out", "--seed", 3)
    assert result.status == 0
    path = tmp_path / "deep" / "out" / "index.html"
    assert result.out.splitlines()[0] == "vae on digits, step 20"
    assert result.out.splitlines()[-1] == str(path)
    content = json.loads((path.parent / "report.json").read_text())
    assert content["seed"] == 3
    assert f"{content['metrics']['latents_prior_mmd']:.5g}" in result.out
    assert content["left_out"]["Losses"] == "the log has no losses"  # This run has no log.
    assert not (vae / "report").exists()


def test_data_may_be_in_another_folder(vae, tmp_path, jaxgen):
    assert jaxgen("report", vae, "--out", tmp_path / "out", "--data-dir", tmp_path).status == 0


def test_family_that_is_not_part_of_the_package_is_loaded(tmp_path, jaxgen, refused):
    run, family, out = tmp_path / "run", tmp_path / "linear.py", tmp_path / "out"
    family.write_text("from tests.small_runs import LINEAR as FAMILY")
    train(run, LINEAR, RunConfig(LinearConfig(), steps=2, batch_size=32), notify=lambda line: None)
    assert "is not part of jaxgen" in refused("report", run, "--out", out)
    result = jaxgen("report", run, "--out", out, "--family", family)
    assert (result.status, result.out.splitlines()[-1]) == (0, str(out / "index.html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere is not a run folder: it has no config.json"),
        (["RUN", "--seed", "-1"], "--seed must be between 0 and 2147483647, got -1"),
        (["RUN", "--out", "FILE"], "cannot write to the folder 'FILE': File exists"),
        (["RUN", "--out", "FILE/out"], "cannot write to the folder 'FILE/out': Not a directory"),
        (["RUN", "--ot", "x"], "did you mean '--out'?"),
    ],
)
def test_invalid_argument_gives_one_sentence(arguments, message, vae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    assert message in refused("report", *[vae if argument == "RUN" else argument for argument in arguments])


def test_run_without_checkpoint_gives_one_sentence(vae, tmp_path, refused):
    run = shutil.copytree(vae, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    assert refused("report", run).startswith("there is no checkpoint in ")
