"""The sides of the benchmark of metrics: equal features, torch-fidelity's subsets, shares and ratios that are right."""

import numpy as np
import pytest
from metrics import JAXGEN, METRICS, SIDES, TORCH_FIDELITY, Process, compare, sets_of_features, table


def test_every_side_of_every_metric_exists():
    assert set(SIDES) == {(name, side) for name, metric in METRICS.items() for side in metric.sides}
    assert all(metric.sides[0] == JAXGEN for metric in METRICS.values())


def test_a_process_computes_what_the_function_does():
    process = Process("density_coverage", JAXGEN, 60, 20)
    try:
        answers = [process.call(), process.call()]
    finally:
        process.stop()
    expected = SIDES["density_coverage", JAXGEN](*sets_of_features(60, 20))()
    assert [answer["value"] for answer in answers] == [expected] * 2
    assert answers[0]["peak"] > 2**26
    assert min(answer["seconds"] for answer in answers) > 0


def test_results_that_differ_end_the_benchmark():
    compare(METRICS["fid"], TORCH_FIDELITY, [1.0], [1.000001])
    with pytest.raises(
        SystemExit, match=r"results of Fréchet distance must agree within 1e-05, got \[1.0\] and \[1.1\]"
    ):
        compare(METRICS["fid"], TORCH_FIDELITY, [1.0], [1.1])


def test_table_has_ratios_growth_and_shares_of_the_gemm_rate():
    """Each pair of 100 + 100 examples of 500 features once: 2 * 100^2 * 1,000 operations."""
    sides = {
        JAXGEN: {"seconds": [1.0, 4.0], "peak": [2.0**30] * 2},
        TORCH_FIDELITY: {"seconds": [3.0, 6.0], "peak": [2.0**31] * 2},
    }
    row = {"name": "precision_recall", "sizes": [100, 200], "features": 500, "sides": sides, "gemm_flops": [4e7, 4e7]}
    lines = [line.split() for line in table("title", row).splitlines()]
    assert lines[0][-3:] == ["100", "200", "growth"]
    assert lines[1][-3:] == ["1.00", "4.00", "2.00"]
    assert lines[2][-3:] == ["3.00", "6.00", "1.00"]
    assert lines[3][-2:] == ["3.00", "1.50"]
    assert [line[-2:] for line in lines[4:6]] == [["50", "50"], ["17", "33"]]
    assert [line[-2:] for line in lines[6:]] == [["1.00", "1.00"], ["2.00", "2.00"]]


def test_features_are_those_of_two_different_distributions():
    real, fake = sets_of_features(2000, 10)
    assert real.dtype == np.float32
    scales = 1 / np.sqrt(np.arange(1, 11))
    np.testing.assert_allclose(real.std(axis=0), scales, rtol=0.1)
    np.testing.assert_allclose(fake.mean(axis=0), 0.1 * scales, atol=0.1)
