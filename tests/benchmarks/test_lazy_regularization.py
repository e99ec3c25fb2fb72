"""The timed programs compute the penalty at every k-th step, and times are related to the two endpoints."""

import jax
import numpy as np
import pytest
from lazy_regularization import EVERY, IN_LOSS, WITHOUT, models, name_of, print_rows, summarize

from jaxgen.benchmark.timing import Times
from jaxgen.training.loop import fit
from jaxgen.training.seeds import seed_keys

POINTS = {"point": np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)}


@pytest.mark.parametrize("every", EVERY)
def test_penalty_is_computed_at_every_kth_step_of_all_seeds(every):
    history = fit(
        models(4, POINTS)[name_of(every)], POINTS, key=seed_keys(0, 2), steps=20, batch_size=8, chunk=20
    ).history["discriminator/penalty/loss"]
    assert history.shape == (2, 20)
    np.testing.assert_array_equal(np.ma.getmaskarray(history), np.broadcast_to(np.arange(20) % every != 0, (2, 20)))


@pytest.mark.parametrize(("name", "metric"), [(WITHOUT, None), (IN_LOSS, "discriminator/penalty")])
def test_programs_without_regularizer_have_the_penalty_in_the_loss_or_not_at_all(name, metric):
    model = models(4, POINTS)[name]
    key = jax.random.key(0)
    _, metrics = jax.eval_shape(lambda: model.step(key, model.init(key, POINTS), POINTS))
    assert [name for name in metrics if "penalty" in name] == ([metric] if metric else [])


def test_times_are_predicted_from_the_programs_without_penalty_and_with_every_1(capsys):
    """2 ms without the penalty and 6 ms with it at every step: 3 ms at every 4th, 2.25 ms at every 16th."""
    milliseconds = {WITHOUT: 2.0, IN_LOSS: 5.0, "every=1": 6.0, "every=4": 3.3, "every=16": 2.25}
    programs = summarize({name: Times([ms] * 3) for name, ms in milliseconds.items()})
    assert [program["predicted_ms"] for program in programs] == [None, None, 6.0, 3.0, 2.25]
    assert [program["against_without"] for program in programs] == pytest.approx([1, 2.5, 3, 1.65, 1.125])
    assert [program["against_every_1"] for program in programs] == pytest.approx([1 / 3, 5 / 6, 1, 0.55, 0.375])
    print_rows({"width": 4, "seeds": 8, "vectorized": True, "programs": programs})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "width 4, 8 seeds side by side, batches of 256"
    assert lines[-3].split() == ["every=4", "3.300", "0%", "1.65", "0.55", "3.000", "+10%"]
    assert lines[-2].split() == ["every=16", "2.250", "0%", "1.12", "0.38", "2.250", "+0%"]
