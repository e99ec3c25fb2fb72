"""Contents of all recipes, and metrics that are specific to some, on logs with known values."""

import json

import jax
import numpy as np
import pytest

from jaxgen.models import PRESETS, REGISTRY
from jaxgen.recipes import RECIPES
from jaxgen.recipes.model_comparison import ModelComparison
from jaxgen.recipes.published import loss_correlation
from jaxgen.runs import Run, RunConfig


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_described_and_claims_and_published_metrics_are_measured(name: str) -> None:
    known = RECIPES[name]
    assert all((known.description, known.reference, known.duration, known.protocol))
    if isinstance(known.run, ModelComparison):
        for claim in known.run.claims:
            assert {claim.larger, claim.smaller} <= set(known.run.entries)
            assert claim.metric in known.run.metrics
        for entry in known.run.entries.values():
            assert set(entry.published) <= set(known.run.metrics)


def test_loss_correlation_is_computed_per_seed(tmp_path):
    """Ranks 1 2 3 4 5 with 1 2 3 4 5, with 5 4 3 2 1 and with 2 1 4 3 5 correlate by 1, -1 and 1 - 6 * 4 / 120."""
    estimates, distances = [1, 2, 3, 4, 5], [[1, 2, 3, 4, 5], [5, 4, 3, 2, 1], [0, 0, 0, 0, 0], [2, 1, 4, 3, 5]]
    names = ("discriminator/real_output", "discriminator/fake_output", "discriminator/loss")
    lines = [
        {"step": step, **dict.fromkeys((*names, "samples/sliced_wasserstein"), 0.0)}
        | {
            "seeds": {
                "discriminator/real_output": [estimate + 7.0] * 4,
                "discriminator/fake_output": [7.0] * 4,
                "discriminator/loss": [10.0] * 4,
                "samples/sliced_wasserstein": [float(of_seed[step]) for of_seed in distances],
            }
        }
        for step, estimate in enumerate(estimates)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    config = RunConfig(PRESETS["wgan-gp"].config, data="ring", seeds=4)
    example = {"point": np.zeros((1, 2), np.float32), "label": np.array([7])}
    model = REGISTRY["gan"].build(config.model_config, example)
    numbers = loss_correlation(Run(tmp_path, "gan", config, example, model, None, 4, {2: None}, ()), jax.random.key(0))
    assert numbers["rank_correlation"] == pytest.approx([1, -1, np.nan, 0.8], nan_ok=True)
    assert numbers["sliced_wasserstein"] == pytest.approx([5, 1, np.nan, 5], nan_ok=True)
