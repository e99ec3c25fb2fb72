"""Ratios, shares and targets follow from the times."""

import math

import pytest

from jaxgen.benchmark.step_chart import draw
from jaxgen.benchmark.step_report import complete, geometric_mean, row_text, summary_text, targets
from jaxgen.plot import render

EVERYTHING = {"jaxgen fit": 10.0, "jaxgen step": 8.0, "8 seeds at once": 40.0, "torch": 30.0, "torch.compile": 20.0}


def row(milliseconds, *, convolutional=True, name="one", left_out=None):
    sides = {side: {"ms": ms, "spread": 0.01, "compile_seconds": 1.0} for side, ms in milliseconds.items()}
    return complete(
        {
            "name": name,
            "convolutional": convolutional,
            "examples": 64,
            "flop": 10**9,
            "compiled_flop": None,
            "gemm_gflops": 200.0,
            "loss_difference": 1e-6,
            "left_out": left_out or {},
            "sides": sides,
        }
    )


def test_ratios_and_shares_follow_from_times():
    """10^9 operations in 10 ms are 100 GFLOP/s, half of the 200 of the matrix product."""
    measured = row(EVERYTHING)
    assert (measured["torch_mode"], measured["ratio"]) == ("torch.compile", 2.0)
    assert (measured["gemm_share"], measured["torch_gemm_share"]) == (0.5, 0.25)
    assert (measured["jaxgen_examples_per_second"], measured["torch_examples_per_second"]) == (6400, 3200)
    assert measured["scan_distance"] == 0.25
    assert measured["seeds"] == {"ms": 40.0, "against_eight_runs": 0.5, "against_torch": 4.0}


def test_scan_distance_is_positive_when_fit_is_faster_than_single_steps():
    assert row(EVERYTHING | {"jaxgen step": 12.0})["scan_distance"] == pytest.approx(0.2)


def test_numbers_that_were_not_measured_are_none():
    measured = row({"jaxgen fit": 10.0})
    for name in ("torch_ms", "ratio", "torch_gemm_share", "jaxgen_step_ms", "scan_distance", "seeds"):
        assert measured[name] is None
    assert geometric_mean([measured]) is None
    assert {target.text: target.holds for target in targets([measured])}["geometric mean of the ratios"] is False
    assert sum(str(target).startswith("not measured") for target in targets([measured])) == 5


def test_targets_use_the_worst_workload():
    fast = row({"jaxgen fit": 5.0, "jaxgen step": 5.0, "torch": 45.0, "8 seeds at once": 10.0}, convolutional=False)
    slow = row({"jaxgen fit": 8.0, "jaxgen step": 8.8, "torch": 8.0, "8 seeds at once": 64.0})
    results = [(target.measured, target.holds) for target in targets([fast, slow])]
    measured, holds = zip(*results, strict=True)
    assert measured == pytest.approx((3.0, 1.0, 0.625, 0.1, 0.25, 1.0))
    assert holds == (True, True, True, True, True, False)


def test_nan_misses_a_target():
    assert not targets([row(EVERYTHING | {"jaxgen fit": math.nan})])[1].holds


def test_tables_show_times_rates_shares_and_what_is_left_out():
    rows = [row(EVERYTHING, name="both"), row({"jaxgen fit": 10.0}, name="single", left_out={"torch": "it fails"})]
    summary = summary_text({"gemm_gflops": 200.0, "workloads": rows})
    lines = [line for text in [*map(row_text, rows), summary] for line in text.splitlines()]
    assert "  torch is left out: it fails" in lines
    assert "  torch.compile / jaxgen fit = 2.00" in lines
    seeds = next(line for line in lines if line.startswith("  8 seeds"))
    assert seeds.split()[4:8] == [
        "40.000",
        "1%",
        "12,800",
        "100%",
    ]
    summary = [line.split() for line in lines if line.split()[1:2] == ["10.000"]]
    assert summary == [
        ["both", "10.000", "20.000", "2.00", "50%", "25%", "1.25", "0.50"],
        ["single", "10.000", "-", "-", "50%", "-", "-", "-"],
    ]


def test_lengths_of_bars_in_the_chart_are_the_ratios():
    rows = [row(EVERYTHING, name="both"), row({"jaxgen fit": 10.0}, name="single"), row(EVERYTHING, name="again")]
    report = {"device": "a machine", "precision": "bfloat16", "geomean_ratio": 2.0, "workloads": rows}
    figure = draw(report)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.containers[0]] == [2.0, 2.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["both", "again"]
    assert axes.get_title() == "a machine, bfloat16; geometric mean 2.00"
    assert render(figure, "png") == render(draw(report), "png")
