"""The estimate of the discriminator is correlated with the distance of samples at the logged steps."""

import json

import pytest
from scipy.stats import spearmanr

from jaxgen.report.loss_and_quality import logged_estimate, loss_and_quality
from jaxgen.runs import Run, RunConfig
from tests.report.small_reports import inputs_of


def test_rank_correlation_is_that_of_the_parsed_log(trained):
    run = trained("ring")
    correlations = loss_and_quality(inputs_of(run)).metrics["rank_correlation"]
    assert len(correlations) == 2
    lines = [json.loads(line)["seeds"] for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    for seed in range(2):
        names = ("discriminator/real_output", "discriminator/fake_output", "samples/sliced_wasserstein")
        pairs = [(real - fake, distance) for real, fake, distance in ([line[n][seed] for n in names] for line in lines)]
        assert len(pairs) == 4
        expected = spearmanr(*zip(*pairs, strict=True)).statistic
        assert correlations[seed] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("critic", "separate", "label", "expected"),
    [
        (True, {"adversarial_loss": [-9, -9, -9]}, "critic's estimate", [3.0, 1.0, 2.0]),
        (False, {"adversarial_loss": [1, 2, 0]}, "minus the discriminator's adversarial loss", [-1.0, -2.0, 0.0]),
        (False, {}, "minus the discriminator's loss", [-5.0, -4.0, -6.0]),
    ],
    ids=["critic", "classifier", "classifier with one loss"],
)
def test_estimate_has_neither_penalty_nor_class_terms(critic, separate, label, expected, tmp_path):
    values = {"real_output": [4, 2, 2], "fake_output": [1, 1, 0], "loss": [5, 4, 6]} | separate
    lines = [
        {"step": step, "samples/sliced_wasserstein": 0.5} | {f"discriminator/{n}": v[step] for n, v in values.items()}
        for step in range(3)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run = Run(tmp_path, "gan", RunConfig(model_config=None, data="ring"), {}, None, None, 0, {}, ())
    logged = logged_estimate(inputs_of(run), critic=critic)
    assert (logged.label, logged.estimate.tolist()) == (label, [expected])
    assert logged.distance.tolist() == [[0.5] * 3]
