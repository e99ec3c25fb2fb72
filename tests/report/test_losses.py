"""Losses of all players are plotted, also of players that train in one phase only."""

import json

import numpy as np
import pytest

from jaxgen.report.losses import losses
from jaxgen.report.section import NotApplicable
from jaxgen.runs import Run, RunConfig
from tests.report.small_reports import inputs_of, without_files


def run_of(folder):
    return Run(folder, "game", RunConfig(model_config=None), {}, None, None, 0, {}, ())


def test_each_player_has_its_losses_at_the_steps_of_its_phase(tmp_path, monkeypatch):
    lines = [
        {"step": 1, "a/loss": 4.0, "a/penalty/loss": 9.0},
        {"step": 2, "a/loss": 3.0, "b/loss": 7.0, "b/gradient_norm": 1.0},
        {"step": 3, "b/loss": 6.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    drawn = without_files(monkeypatch, "losses")
    losses(inputs_of(run_of(tmp_path)))
    [(figure, _)] = drawn
    curves = {axes.get_ylabel(): axes.lines[0].get_xydata() for axes in figure.axes}
    np.testing.assert_array_equal(curves["a/loss"], [[1, 4], [2, 3]])
    np.testing.assert_array_equal(curves["b/loss"], [[2, 7], [3, 6]])
    assert len(curves) == 2


def test_log_without_losses_is_the_reason_to_leave_the_section_out(tmp_path):
    with pytest.raises(NotApplicable, match="the log has no losses"):
        losses(inputs_of(run_of(tmp_path)))
