"""The input of sections: seeds and logs."""

import json

import numpy as np
import pytest

from jaxgen.report.section import NotApplicable
from jaxgen.runs import Run, RunConfig
from tests.report.small_reports import inputs_of


def run_with_log(folder, lines, seeds=None, diverged=()):
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 9, "a/lo')
    config = RunConfig(model_config=None, data="ring", seeds=seeds)
    return inputs_of(Run(folder, "gan", config, {}, None, None, 0, dict.fromkeys(diverged), ()))


def test_history_has_the_steps_at_which_all_metrics_were_logged(tmp_path):
    lines = [{"step": 1, "a": 1.0}, {"step": 2, "a": 2.0, "b": None}, {"step": 3, "b": 6.0}]
    inputs = run_with_log(tmp_path, lines)
    steps, (a, b) = inputs.history("a", "b")
    np.testing.assert_array_equal(steps, [2])
    np.testing.assert_array_equal([a, b], [[[2.0]], [[np.nan]]])
    steps, (a, b) = inputs.history("a", "b", complete=False)
    np.testing.assert_array_equal(steps, [1, 2, 3])
    np.testing.assert_array_equal([a, b], [[[1.0, 2.0, np.nan]], [[np.nan, np.nan, 6.0]]])
    with pytest.raises(NotApplicable, match="the log has no a beside c"):
        inputs.history("a", "c")


def test_history_has_one_row_for_each_finite_seed(tmp_path):
    lines = [{"step": i, "a": 0.0, "seeds": {"a": [1.0 * i, None, 3.0 * i]}} for i in (1, 2)]
    inputs = run_with_log(tmp_path, lines, seeds=3, diverged={1})
    assert inputs.finite == [0, 2]
    np.testing.assert_array_equal(inputs.history("a")[1][0], [[1, 2], [3, 6]])


def test_run_without_log_has_no_history(tmp_path):
    run = Run(tmp_path, "gan", RunConfig(model_config=None), {}, None, None, 0, {}, ())
    with pytest.raises(NotApplicable, match="the log has no a"):
        inputs_of(run).history("a")
