"""Several seeds in one program against single seeds."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.game import State
from jaxgen.models import REGISTRY
from jaxgen.nn.convolution import convolve
from jaxgen.training.loop import fit
from jaxgen.training.seeds import (
    add_seed_axis,
    first_finite,
    has_large_networks,
    over_seeds,
    rounded,
    seed_keys,
    select_seed,
    summarize,
)
from jaxgen.training.states import initial_state, run_keys


def test_keys_are_those_of_single_runs():
    for i, key in enumerate(seed_keys(40, 3)):
        np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(jax.random.key(40 + i)))


@pytest.mark.parametrize("kind", ["fully connected", "convolutional", "gan"])
def test_each_seed_agrees_with_its_single_run(kind, single_steps, classifier, images, point_gan, points):
    if kind == "gan":
        model, data = point_gan(optax.sgd(0.1)), points
    else:
        model, data = classifier(convolutional=kind == "convolutional"), images
    chunks = []
    several = fit(model, data, key=seed_keys(7, 3), steps=6, batch_size=12, chunk=4, callbacks=[chunks.append])
    assert several.state.step.shape == ()
    assert int(several.state.step) == 6
    for seed in range(3):
        alone = single_steps(model, data, jax.random.key(7 + seed), 6, 12)
        state = select_seed(several.state, seed)
        for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(alone[-1][0]), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)
        for name in alone[0][1]:
            values = np.ma.concatenate([chunk.metrics[name] for chunk in chunks], axis=-1)
            assert len(np.unique(values[:, -1])) > 1
            expected = [metrics[name] for _, metrics in alone]
            np.testing.assert_allclose(np.ma.filled(values[seed], np.nan), expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(values, several.history[name])


def test_the_initial_state_of_each_seed_is_that_of_its_key(point_gan, points):
    model, keys = point_gan(), seed_keys(3, 2)
    example = {"point": points["point"][:1] * 0}
    states = initial_state(model, keys, example)
    assert states.step.shape == ()
    for seed, key in enumerate(keys):
        expected = jax.jit(model.init)(run_keys(key).init, example)
        jax.tree.map(np.testing.assert_array_equal, select_seed(states, seed), expected)


def test_a_seed_axis_is_added_to_everything_but_the_step_counter_and_selected_from_it():
    state = State(jnp.int32(7), {"net": jnp.arange(3.0)}, {"net": {"mean": jnp.ones(())}}, {"p": (jnp.int32(4),)}, {})
    tree = {"states": [state, state.replace(step=jnp.int32(9))], "x": jnp.ones((2, 2))}
    stacked = add_seed_axis(tree)
    assert [int(one.step) for one in stacked["states"]] == [7, 9]
    assert stacked["x"].shape == (1, 2, 2)
    assert [leaf.shape for leaf in jax.tree.leaves(stacked["states"][0].replace(step=None))] == [(1, 3), (1,), (1,)]
    jax.tree.map(np.testing.assert_array_equal, select_seed(stacked, 0), tree)


@pytest.fixture
def states():
    """States of three seeds of a network with a kernel."""
    rng = np.random.default_rng(0)

    def of_net(*shape):
        return State(jnp.int32(5), {"net": {"kernel": jnp.asarray(rng.standard_normal((3, *shape)))}}, {}, {}, {})

    return of_net


def convolution(seed):
    """A strided convolution, whose gradient on the CPU is a matrix product on patches and not one of XLA."""
    state, x = seed
    return convolve(x, state.params["net"]["kernel"], (2, 2), "SAME")


def test_convolutions_are_computed_in_sequence_on_the_cpu_and_side_by_side_on_accelerators(states, monkeypatch):
    x = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2, 6, 6, 4)))
    state = states(3, 3, 4, 5)
    each = [convolution(select_seed((state, x), seed)) for seed in range(3)]
    for backend, in_sequence in (("cpu", True), ("gpu", False)):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        together = over_seeds(convolution)
        assert ("scan[" in str(jax.make_jaxpr(together)((state, x)))) is in_sequence
        np.testing.assert_allclose(together((state, x)), np.stack(each), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("features", "in_sequence"), [(455, False), (456, True)])
def test_fully_connected_networks_are_computed_in_sequence_from_65536_weights_in_a_layer_on(
    states, features, in_sequence
):
    def dense(seed):
        state, x = seed
        return x.reshape(len(x), -1) @ state.params["net"]["kernel"]

    program = jax.make_jaxpr(over_seeds(dense))((states(144, features), jnp.ones((3, 2, 6, 6, 4))))
    assert ("scan[" in str(program)) is in_sequence


@pytest.mark.parametrize("shape", [(2,), (3, 3, 1, 2)], ids=["side by side", "in sequence"])
def test_functions_of_a_seed_receive_and_return_a_step_counter_without_a_seed_axis(states, shape):
    state = states(*shape)

    def next_step(seed):
        state, number = seed
        assert state.step.shape == ()
        return state.replace(step=state.step + 1), {"number": number + state.step}

    new, result = jax.jit(over_seeds(next_step))((state, jnp.arange(3)))
    assert new.step.shape == ()
    assert int(new.step) == 6
    np.testing.assert_array_equal(result["number"], [5, 6, 7])
    np.testing.assert_array_equal(new.params["net"]["kernel"], state.params["net"]["kernel"])


@pytest.mark.parametrize(
    ("family", "choices", "large"),
    [
        ("gan", {"architecture": "dcgan", "width": 8}, True),
        ("gan", {"architecture": "mlp"}, False),
        ("vae", {"architecture": "conv", "width": 8}, True),
        ("vae", {"architecture": "mlp"}, False),
        ("vae", {"architecture": "mlp", "hidden": (1024,)}, True),
    ],
)
def test_large_networks_of_the_families_are_detected(family, choices, large):
    images = {"image": np.zeros((2, 8, 8, 1), np.uint8), "label": np.arange(2, dtype=np.int32)}
    model = REGISTRY[family].build(REGISTRY[family].config(**choices), images)
    state = jax.eval_shape(jax.vmap(lambda key: model.init(key, images)), seed_keys(0, 3))
    assert has_large_networks((seed_keys(0, 3), state, images)) is large


class TestSummarize:
    def test_mean_sd_and_worst_agree_with_their_formulas(self):
        values = np.random.default_rng(0).normal(100, 5, 10)
        summary = summarize(values, better="smaller")
        assert summary["mean"] == pytest.approx(sum(values) / 10, rel=1e-6)
        assert summary["sd"] == pytest.approx((sum((v - sum(values) / 10) ** 2 for v in values) / 9) ** 0.5, rel=1e-6)
        assert summary["worst"] == pytest.approx(sorted(values)[-1], rel=1e-6)

    def test_a_metric_without_a_better_value_has_no_worst(self):
        summary = summarize(np.array([3.0, 1.0, 2.0]))
        assert (summary["mean"], summary["worst"]) == (2.0, None)

    def test_the_worst_is_the_smallest_where_larger_is_better(self):
        assert summarize(np.array([3.0, 1.0, 2.0]), better="larger")["worst"] == 1.0

    def test_diverged_seeds_are_not_counted(self):
        summary = summarize(np.array([1.0, 900.0, np.nan, 3.0]), better="smaller", left_out={1})
        assert summary == {"mean": 2.0, "sd": 1.414214, "worst": 3.0, "seeds": [1.0, None, None, 3.0]}

    def test_one_seed_has_no_sd_and_without_seeds_everything_is_none(self):
        one = summarize(np.array([2.0]), better="smaller")
        assert one == {"mean": 2.0, "sd": None, "worst": 2.0, "seeds": [2.0]}
        nothing = {"mean": None, "sd": None, "worst": None, "seeds": [None]}
        assert summarize(np.array([2.0]), better="smaller", left_out=[0]) == nothing

    def test_a_summary_can_be_written_as_json(self):
        json.dumps(summarize(np.array([8, 7], np.int32), better="larger"), allow_nan=False)

    def test_the_first_finite_seed_is_the_first_that_has_not_diverged(self):
        assert [first_finite(3, diverged) for diverged in ((), {0}, {0, 1}, {1})] == [0, 1, 2, 0]

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(1 / 3, 0.3333333), (123456789.0, 123456800.0), (-0.0, 0.0), (np.nan, None), (-np.inf, None)],
    )
    def test_rounded_numbers_have_seven_digits_and_are_finite(self, value, expected):
        assert rounded(value) == expected
