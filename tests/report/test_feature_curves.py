"""Section "Metrics of features over training": logged values under their protocols, the last beside the best."""

import pytest

from jaxgen.report.feature_curves import is_feature_metric
from tests.small_runs import log_lines

NAME = "precision[digits_v1, none, n=1437/40, split=digits:train, k=3]"


def test_the_last_value_stands_beside_the_best_one_of_the_log(report, trained):
    metrics = report("vae").metrics
    logged = [
        line["seeds"][f"samples/{NAME}"] for line in log_lines(trained("vae").folder) if f"samples/{NAME}" in line
    ]
    assert len(logged) >= 2
    assert metrics[f"{NAME}, final"]["seeds"] == logged[-1]
    best = [max(values) for values in zip(*logged, strict=True)]
    assert metrics[f"{NAME}, best"]["seeds"] == best
    assert metrics[f"{NAME}, best"]["worst"] == min(best)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"samples/{NAME}", True),
        ("samples/precision", False),
        ("samples/other[digits_v1, n=3]", False),
        ("samples/sliced_wasserstein", False),
        (NAME, False),
        ("samples/precision[", False),
    ],
)
def test_metrics_of_features_are_those_with_a_protocol(name, expected):
    assert is_feature_metric(name) is expected
