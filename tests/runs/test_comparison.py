"""Comparison of runs."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.runs import evaluate_run, load_run
from jaxgen.runs.comparison import (
    ComparedRun,
    check_protocols,
    common_curves,
    compare_runs,
    differing_options,
    differing_protocols,
)
from jaxgen.runs.config_json import read_config, write_config
from tests.small_runs import log_lines, untrained


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """Folders of two untrained VAEs, of one seed and of two, with logs of different lengths."""
    from jaxgen.runs.config_json import RunDescription
    from jaxgen.training.checkpoint import save

    folders = []
    for seeds, beta, steps in ((None, 1.0, 2), (2, 4.0, 3)):
        run = untrained("vae", seeds)
        folder = tmp_path_factory.mktemp("vae")
        options = dataclasses.replace(run.config.model_config, beta=beta)
        config = dataclasses.replace(run.config, model_config=options, steps=steps)
        write_config(folder, RunDescription("vae", config, run.example))
        save(folder / "checkpoints", steps, run.state.replace(step=run.state.step + steps))
        lines = []
        for step in range(1, steps + 1):
            line = {"step": step, "seconds": 0.1, "vae/loss": beta * step, "vae/gradient_norm": 1.0}
            if seeds:
                line["seeds"] = {"vae/loss": [beta * step - 1, beta * step + 1], "vae/gradient_norm": [1.0, 1.0]}
            lines.append(json.dumps(line))
        (folder / "metrics.jsonl").write_text("\n".join(lines))
        folders.append(folder)
    return folders


def test_curves_and_options_are_those_of_log_and_config(two_runs):
    one, two = compare_runs(two_runs)
    assert (one.name, two.name) == (two_runs[0].name, two_runs[1].name)
    np.testing.assert_array_equal(one.steps, [1, 2])
    np.testing.assert_array_equal(one.curves["vae/loss"], [[1, 2]])
    np.testing.assert_array_equal(two.curves["vae/loss"], [[3, 7, 11], [5, 9, 13]])
    expected = {"steps": ["2", "3"], "seeds": ["-", "2"], "beta": ["1.0", "4.0"]}
    assert differing_options([one, two]) == expected
    assert list(common_curves([one, two])) == ["vae/loss"]


def test_run_without_summary_is_evaluated(two_runs):
    one, two = compare_runs(two_runs)
    expected = evaluate_run(load_run(two_runs[1]))
    assert two.metrics == {name: (value["mean"], value["sd"]) for name, value in expected.items()}
    assert one.metrics["elbo"][1] is None


def test_metrics_of_complete_runs_are_those_of_the_summary(two_runs, tmp_path):
    folder = shutil.copytree(two_runs[0], tmp_path / "run")
    (folder / "summary.json").write_text('{"step": 2, "test": {"elbo": -7.5}}')
    assert compare_runs([folder])[0].metrics == {"elbo": (-7.5, None)}


def test_metrics_that_are_logged_now_and_then_have_gaps(two_runs, tmp_path):
    folder = shutil.copytree(two_runs[0], tmp_path / "run")
    (folder / "summary.json").write_text('{"step": 2, "test": {}}')
    lines = log_lines(folder)
    lines[1]["samples/modes"] = 8.0
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    np.testing.assert_array_equal(compare_runs([folder])[0].curves["samples/modes"], [[np.nan, 8]])


def test_names_are_the_ends_by_which_paths_differ(two_runs, tmp_path):
    (tmp_path / "a").mkdir()
    folders = [shutil.copytree(two_runs[0], tmp_path / name) for name in ("a/vae", "vae")]
    assert [run.name for run in compare_runs(folders)] == ["a/vae", f"{tmp_path.name}/vae"]


def test_an_option_that_is_set_in_one_run_alone_differs():
    runs = [ComparedRun("a", "1", {}, {"clip": None}, [], {}), ComparedRun("b", "1", {}, {"clip": 0.1}, [], {})]
    assert differing_options(runs) == {"clip": ["-", "0.1"]}


def test_options_of_one_run_alone_do_not_differ():
    runs = [
        ComparedRun("a", "1", {}, {"beta": 1.0, "n": 1}, [], {}),
        ComparedRun("b", "1", {}, {"clip": 0.1, "n": 2}, [], {}),
    ]
    assert differing_options(runs) == {"n": ["1", "2"]}


def test_the_same_run_twice_is_refused(two_runs):
    with pytest.raises(InputError, match="each run must be given once"):
        compare_runs([two_runs[0], two_runs[0] / ".." / two_runs[0].name])


def test_config_of_the_runs_is_not_changed(two_runs):
    before = [read_config(folder).config for folder in two_runs]
    compare_runs(two_runs)
    assert [read_config(folder).config for folder in two_runs] == before


@pytest.mark.parametrize(
    "content", ["[]", "null", '{"step": 2, "test": {"elbo": "a"}}', '{"step": 2, "test": {"elbo": [1]}}']
)
def test_damaged_summaries_and_lines_are_no_metrics(content, two_runs, tmp_path):
    folder = shutil.copytree(two_runs[1], tmp_path / "run")
    (folder / "summary.json").write_text(content.replace("2", "3"))
    lines = log_lines(folder)
    lines[0]["seeds"]["vae/loss"] = [10**400]
    lines[1]["seeds"] = 5
    lines[2]["vae/loss"] = "a"
    lines[2]["seeds"]["vae/loss"] = ["a", None, 3]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (run,) = compare_runs([folder])
    assert run.metrics == compare_runs([two_runs[1]])[0].metrics
    np.testing.assert_array_equal(run.curves["vae/loss"], np.full((2, 3), np.nan))


def test_metrics_of_the_best_state_are_marked(two_runs, tmp_path):
    folder = shutil.copytree(two_runs[0], tmp_path / "run")
    assert compare_runs([folder])[0].state == "2"
    best = {"step": 1, "value": -7.5, "evaluations": 1}
    (folder / "summary.json").write_text(json.dumps({"step": 2, "test": {"elbo": -7.5}, "best": best}))
    assert compare_runs([folder])[0].state == "1 (best)"


def measured(name, *texts):
    return ComparedRun(name, "10", dict.fromkeys(texts, (1.0, None)), {}, [], {})


def test_values_are_compared_where_one_of_the_protocols_of_all_runs_is_equal():
    """In whatever order they were measured, also where a log has them."""
    few, many = "fid[a, n=9/5]", "fid[a, n=9/9]"
    logged = measured("c")._replace(curves={f"samples/{many}": np.zeros((1, 1))})
    runs = [measured("a", few, many), measured("b", many), logged]
    check_protocols(runs, "fid")
    assert differing_protocols(runs) == []


def test_values_of_different_protocols_are_refused_by_what_differs():
    runs = [measured("a", "fid[a, n=9/5]", "fid[a, n=9/7]"), measured("b", "fid[a, n=9/9]")]
    with pytest.raises(InputError, match="got n=9/5 and n=9/9"):
        check_protocols(runs, "fid")
    (sentence,) = differing_protocols(runs)
    assert "got n=9/5 and n=9/9" in sentence
    assert differing_protocols([runs[0], measured("c", "kid[a, n=9/9]")]) == []
    with pytest.raises(InputError, match="every run must have the metric 'kid' to be compared by it, a has not"):
        check_protocols(runs, "kid")
    with pytest.raises(InputError, match="got as logged"):
        check_protocols([measured("a", "fid"), measured("b", "fid[a, n=9/9]")], "fid")
