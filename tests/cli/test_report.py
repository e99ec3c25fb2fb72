"""`jaxgen report`: the files, the printed table, and invalid arguments."""

import json
import shutil

import pytest

from jaxgen.report import Section, write_report
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


@pytest.fixture
def short_report(monkeypatch):
    """A report of one section that fails and of one that shows a seed; return the numbers of the seeds."""
    shown = []

    def seed(inputs):
        shown.append(int(inputs.shown_run.config.seed))
        return Section(metrics={"x": [1.0] * len(inputs.runs)})

    def wrong(inputs):
        raise ZeroDivisionError("a bug\x1b[2J")

    def write(*arguments, **options):
        return write_report(*arguments, **options, sections={"Seed": seed, "Wrong": wrong})

    monkeypatch.setattr("jaxgen.cli.report.write_report", write)
    return shown


@pytest.mark.parametrize(("index", "seed"), [(None, 0), (0, 0), (1, 1)])
def test_the_seed_that_figures_show_can_be_chosen_and_is_said(index, seed, cvae, tmp_path, jaxgen, short_report):
    given = [] if index is None else ["--run-index", index]
    result = jaxgen("report", cvae, "--out", tmp_path / "out", *given)
    assert result.status == 0
    assert short_report == [seed]
    assert ("seed 0 of 2 is shown: --run-index chooses another" in result.err) == (index is None)
    content = json.loads((tmp_path / "out" / "report.json").read_text())
    assert content["shown_seed"] == seed
    html = (tmp_path / "out" / "index.html").read_text()
    assert "The run has the seeds 0 to 1. Metrics and curves are those of all of them." in html
    assert f"A figure of a single seed shows seed {seed}," in html


def test_an_error_of_a_section_is_said(vae, tmp_path, jaxgen, short_report):
    result = jaxgen("report", vae, "--out", tmp_path / "out")
    (line,) = result.err.splitlines()
    assert line == r"jaxgen: the section 'Wrong' is left out: an error of the section: ZeroDivisionError: a bug\x1b[2J"
    assert result.status == 0


def test_a_seed_that_the_run_does_not_have_is_refused(vae, cvae, refused):
    assert refused("report", cvae, "--run-index", 2) == "--run-index must be from 0 to 1, got 2: the run has 2 seeds"
    assert refused("report", vae, "--run-index", 1) == "--run-index must be 0, got 1: the run has one seed"


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
        (["RUN", "--out", "FILE"], "/FILE' is not a folder"),
        (["RUN", "--out", "FILE/out"], "/FILE' is not a folder"),
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
