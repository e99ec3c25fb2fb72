"""Ratios, shares and bars follow from the times."""

import math

import pytest
from chart import draw
from report import bars, complete, geometric_mean, print_row, print_summary

from jaxgen.plot import render

EVERYTHING = {"jaxgen fit": 10.0, "jaxgen step": 8.0, "8 seeds at once": 40.0, "torch": 30.0, "torch.compile": 20.0}


def row(milliseconds, *, convolutional=True, name="one"):
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
            "sides": sides,
        }
    )


def test_a_complete_row():
    """10^9 operations in 10 ms are 100 GFLOP/s, half of the machine's 200."""
    measured = row(EVERYTHING)
    assert (measured["torch_mode"], measured["ratio"]) == ("torch.compile", 2.0)
    assert (measured["gemm_share"], measured["torch_gemm_share"]) == (0.5, 0.25)
    assert (measured["jaxgen_examples_per_second"], measured["torch_examples_per_second"]) == (6400, 3200)
    assert measured["scan_distance"] == 0.25
    assert measured["seeds"] == {"ms": 40.0, "against_eight_runs": 0.5, "against_torch": 4.0}


def test_scanned_steps_may_be_the_faster_ones():
    assert row(EVERYTHING | {"jaxgen step": 12.0})["scan_distance"] == pytest.approx(0.2)


def test_what_was_not_measured_is_none():
    measured = row({"jaxgen fit": 10.0})
    for name in ("torch_ms", "ratio", "torch_gemm_share", "jaxgen_step_ms", "scan_distance", "seeds"):
        assert measured[name] is None
    assert geometric_mean([measured]) is None
    assert {bar.text: bar.holds for bar in bars([measured])}["geometric mean of the ratios"] is False
    assert sum(str(bar).startswith("not measured") for bar in bars([measured])) == 5


def test_the_worst_workload_decides():
    fast = row({"jaxgen fit": 5.0, "jaxgen step": 5.0, "torch": 45.0, "8 seeds at once": 10.0}, convolutional=False)
    slow = row({"jaxgen fit": 8.0, "jaxgen step": 8.8, "torch": 8.0, "8 seeds at once": 64.0})
    decided = [(bar.measured, bar.holds) for bar in bars([fast, slow])]
    measured, holds = zip(*decided, strict=True)
    assert measured == pytest.approx((3.0, 1.0, 0.625, 0.1, 0.25, 1.0))
    assert holds == (True, True, True, True, True, False)


def test_no_number_keeps_no_bar():
    assert not bars([row(EVERYTHING | {"jaxgen fit": math.nan})])[1].holds


def test_everything_is_printed(capsys):
    rows = [row(EVERYTHING, name="both"), row({"jaxgen fit": 10.0}, name="alone")]
    for one in rows:
        print_row(one)
    print_summary({"gemm_gflops": 200.0, "workloads": rows})
    lines = capsys.readouterr().out.splitlines()
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
        ["alone", "10.000", "-", "-", "50%", "-", "-", "-"],
    ]


def test_bars_are_as_long_as_the_ratios():
    rows = [row(EVERYTHING, name="both"), row({"jaxgen fit": 10.0}, name="alone"), row(EVERYTHING, name="again")]
    report = {"device": "a machine", "precision": "bfloat16", "geomean_ratio": 2.0, "workloads": rows}
    figure = draw(report)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.containers[0]] == [2.0, 2.0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["both", "again"]
    assert axes.get_title() == "a machine, bfloat16; geometric mean 2.00"
    assert render(figure, "png") == render(draw(report), "png")
