"""Each workload computes the same in PyTorch as in jaxgen: only then are their times comparable."""

import itertools
from collections.abc import Iterator
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.extend.core import Jaxpr, JaxprEqn
from torch import nn

from jaxgen import flop
from jaxgen.benchmark.case import COMPARED_STEPS, Case
from jaxgen.benchmark.pytorch.agreement import Run, begin, compare, compare_steps
from jaxgen.benchmark.pytorch.twin import TorchPlayer, Twin, endless_batches
from jaxgen.benchmark.workloads import WORKLOADS
from jaxgen.benchmark.workloads.workload import BFLOAT16, FLOAT32, Data, Workload
from jaxgen.benchmark.workloads.workload_precision import in_precision
from jaxgen.game import State
from jaxgen.training import fit
from jaxgen.typing import PyTree
from tests.benchmark.torch_flop import Counter, filters, of_epilogue, unused

TOLERANCE = 1e-9
"""Largest relative difference in float64, whose rounding errors are too small to change the sign of an activation."""

every_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)


@pytest.mark.usefixtures("convolutions_by_xla")
@every_workload
def test_losses_agree_in_float64_at_several_steps(workload: Workload) -> None:
    workload, data, state = small(workload), data_of(workload), random_state(workload)
    # Enough for the second update with a lazy regularizer that has a state.
    steps = 5 if workload.period > 1 else COMPARED_STEPS
    twin = workload.twin(state, compiled=False).to(torch.float64)
    with jax.enable_x64(True):
        data, start, key = in_float64(data), in_float64(state), jax.random.key(1)
        model = workload.build(data)
        result = fit(model, data, key=key, state=start, steps=steps, batch_size=workload.batch_size)
        losses = {player.name: result.history[f"{player.name}/loss"] for player in model.players}
        compared = compare_steps(Run(workload, model, data, key, start, losses), twin)
    assert len(compared) == steps
    assert max(step.difference for step in compared) <= TOLERANCE
    # The averages, with their statistics, are compared with those that the twin loads from the last state of jaxgen.
    averages = {name: dict(variables) for name, variables in result.state.ema.items()}
    assert [average.name for average in twin.averages] == list(averages)
    if averages:
        last = state.replace(
            params=result.state.params | {name: variables.pop("params") for name, variables in averages.items()},
            stats=result.state.stats | averages,
        )
        loaded = workload.twin(last, compiled=False).to(torch.float64)
        for average, expected in zip(twin.averages, loaded.averages, strict=True):
            for name, value in average.network.state_dict().items():
                if value.is_floating_point():
                    other = expected.network.state_dict()[name]
                    # The decay of the average, and what a twin loads, are in float32.
                    torch.testing.assert_close(value, other, rtol=1e-6, atol=1e-7, msg=name)


@pytest.mark.parametrize("name", ["MLP VAE", "DCGAN 28"])
def test_losses_agree_in_bfloat16_and_differ_for_another_bias(name: str) -> None:
    workload = next(in_precision(small(workload), BFLOAT16) for workload in WORKLOADS if workload.name == name)
    data, state = data_of(workload), random_state(workload)
    run = begin(workload, workload.build(data), data, jax.random.key(1), state)
    agreement = compare(run, workload.twin(state, compiled=False))
    assert agreement.holds
    assert agreement.tolerance == 2**-8
    other = workload.twin(state, compiled=False)
    with torch.no_grad():
        other.parameters[other.players[0].name][-1].add_(0.3)
    assert not compare(run, other).holds


def test_difference_of_losses_near_zero_is_relative_to_the_least_size_in_bfloat16_only() -> None:
    found = {}
    for precision in (FLOAT32, BFLOAT16):
        workload = in_precision(small(WORKLOADS[0]), precision)
        data, state = data_of(workload), random_state(workload)
        twin = workload.twin(state, compiled=False)
        player = twin.players[0].name
        run = Run(workload, workload.build(data), data, jax.random.key(1), state, {player: np.full(1, 1e-3)})
        twin.step = lambda *given, player=player: {player: torch.tensor(1e-3 + 1e-5)}
        found[precision] = compare_steps(run, twin)[0].difference
    assert found == {FLOAT32: pytest.approx(1e-2, rel=1e-3), BFLOAT16: pytest.approx(1e-3, rel=1e-3)}


@pytest.mark.parametrize("workload", [each for each in WORKLOADS if each.mixed_precision], ids=lambda each: each.name)
def test_products_are_in_bfloat16_on_both_sides_and_losses_in_float32(
    workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In jaxgen for an accelerator: on the CPU some of the products that make up its convolutions are in float32."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    workload = in_precision(small(workload), BFLOAT16)
    data = data_of(workload)
    model, state = workload.build(data), random_state(workload)
    batch = {name: array[: workload.batch_size * model.slices] for name, array in data.items()}
    jaxpr, (updated, metrics) = jax.make_jaxpr(model.step, return_shape=True)(jax.random.key(0), state, batch)
    factors = [[operand.aval for operand in product.invars] for product in products(jaxpr)]
    # Products with a vector are those of power iterations, in float32 on both sides.
    dtypes = {operand.dtype for both in factors for operand in both if min(x.ndim for x in both) > 1}
    assert dtypes == {jnp.dtype(BFLOAT16)}
    assert updated == jax.eval_shape(lambda state: state.replace(step=jnp.int32(0)), state)
    assert {metric.dtype for metric in metrics.values()} == {jnp.dtype(FLOAT32)}

    twin, dtypes = workload.twin(state, compiled=False), set()
    layers = [layer for player in twin.players for layer in player.network.modules() if isinstance(layer, PRODUCTS)]
    for layer in layers:
        layer.register_forward_hook(lambda layer, given, output: dtypes.add(output.dtype))
    losses = twin.step(twin.tensors(batch))
    assert dtypes == {torch.bfloat16}
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert {parameter.dtype for player in twin.players for parameter in player.network.parameters()} == {torch.float32}


@every_workload
def test_operations_of_the_traced_step_are_those_that_pytorch_counts(workload: Workload) -> None:
    """But for those whose results are not needed, and on average over the period of lazy regularizers."""
    workload = small(workload)
    model, state = workload.build(data_of(workload)), random_state(workload)
    batch = {name: array[: workload.batch_size * model.slices] for name, array in data_of(workload).items()}
    twin = workload.twin(state, compiled=False)
    every = [term.every for player in twin.players for term in player.regularizers]
    counted, of_step = -unused(twin, twin.tensors(batch)[0]), {}
    for step in range(workload.period):
        due = tuple(step % k == 0 for k in every)
        if due not in of_step:
            twin.completed = step
            with Counter(filters(twin)) as counter:
                twin.step(twin.tensors(batch))
            of_step[due] = counter.flop
        counted += of_step[due]
    if workload.name.startswith("WGAN-GP"):
        critic, images = twin.players[0].network, twin.tensors(batch)[0][: workload.batch_size]
        values = critic(images).sum()
        with Counter() as zero:
            values.backward()
        counted -= zero.flop * twin.players[0].updates
    if workload.name.startswith("PGGAN"):
        counted -= of_epilogue(twin.players[0].network, twin.tensors(batch)[0])
    assert workload.period * flop.of_algorithm(model, state, batch) == counted > 0


def test_scaled_workloads_keep_their_precision() -> None:
    workload = in_precision(WORKLOADS[0], BFLOAT16)
    scaled = workload.scaled(batch_size=8)
    assert (scaled.name, scaled.batch_size, scaled.precision) == (WORKLOADS[0].name, 8, BFLOAT16)
    assert in_precision(WORKLOADS[0], FLOAT32) is WORKLOADS[0]


@every_workload
def test_tensors_of_uint8_data_equal_those_of_float64_data(workload: Workload) -> None:
    """The comparison in float64 starts from float64 data, the benchmark from the uint8 data of jaxgen."""
    data = {name: array[:6] for name, array in data_of(workload).items()}
    twin = small_twin(workload)
    for tensor, exact in zip(twin.tensors(data), twin.tensors(in_float64(data)), strict=True):
        assert tensor.dtype in (torch.float32, torch.int64)
        np.testing.assert_allclose(tensor, exact, rtol=0, atol=1e-6)
        assert tensor.stride() == exact.stride()


@every_workload
def test_noise_of_the_twin_has_the_shape_mean_and_standard_deviation_of_jaxgens(workload: Workload) -> None:
    workload, twin = small(workload), small_twin(workload)
    n = 4_000
    drawn = {player.name: twin.noise if twin.simultaneous else player.noise for player in twin.players}
    drawn |= {f"{player.name}/{term.name}": term.noise for player in twin.players for term in player.regularizers}
    drawn |= {f"average/{average.name}": average.noise for average in twin.averages}
    for name, draw in drawn.items():
        theirs = draw(torch.zeros(n))
        ours = workload.noise[name](jax.random.key(0), n) if name in workload.noise else ()
        for their_array, our_array in zip(theirs, ours, strict=True):
            assert tuple(their_array.shape) == our_array.shape
            if their_array.ndim:  # A number of the whole batch is drawn once only.
                size = max(1.0, float(our_array.std()))
                assert float(their_array.double().mean()) == pytest.approx(float(our_array.mean()), abs=0.1 * size)
                assert float(their_array.double().std()) == pytest.approx(float(our_array.std()), abs=0.1 * size)


@every_workload
def test_steps_of_the_twin_change_the_weights_of_every_player(workload: Workload) -> None:
    twin = small_twin(workload)
    before = [weights(player) for player in twin.players]
    # Enough examples for five updates of a critic.
    twin.run(endless_batches(twin.tensors(data_of(workload)), 40), steps=2)
    for player, old in zip(twin.players, before, strict=True):
        assert torch.isfinite(weights(player)).all()
        assert not torch.equal(weights(player), old)


@pytest.mark.usefixtures("convolutions_by_xla")
@every_workload
def test_scaled_workloads_have_the_given_width_and_batch_size(workload: Workload) -> None:
    expected, other = sizes(workload), workload.scaled(batch_size=8)
    assert workload.scaled().batch_size == workload.batch_size
    assert (other.name, sizes(other), other.batch_size) == (workload.name, expected, 8)
    assert sum(sizes(workload.scaled(width=4))) < sum(expected) < sum(sizes(workload.scaled(width=512)))


@pytest.mark.parametrize("quick", [True, False])
@every_workload
def test_repeats_have_whole_periods_of_lazy_regularizers(workload: Workload, quick: bool) -> None:
    steps = Case(workload, {}, None, None, quick).steps
    assert steps % workload.period == 0
    assert steps >= (2 if quick else workload.steps)


def test_batches_contain_every_example_at_most_once_per_epoch() -> None:
    numbers = torch.arange(10)
    images = torch.rand(10, 5, 4, 3).permute(0, 3, 1, 2)
    batches = list(itertools.islice(endless_batches((images, numbers), 3), 6))
    for epoch in (batches[:3], batches[3:]):
        assert len(set(torch.cat([indices for _, indices in epoch]).tolist())) == 9
    for batch, indices in batches:
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(batch, images[indices])
    with pytest.raises(ValueError, match="batch_size must be at most the 10 examples of the data, got 11"):
        next(endless_batches((numbers,), 11))


PRODUCTS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def products(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    """All products and convolutions, including those of inner programs."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            if hasattr(inner, "eqns"):
                yield from products(inner)


OTHER_SIZES = {name: {"shape": (8, 8, 1)} for name in ("StyleGAN2 32", "PGGAN 32")}
"""Images of small workloads, where those of the workload take long to compile."""


def small(workload: Workload) -> Workload:
    return workload.scaled(width=2 if workload.convolutional else 4, batch_size=4, **OTHER_SIZES.get(workload.name, {}))


def small_twin(workload: Workload) -> Twin:
    return small(workload).twin(random_state(small(workload)), compiled=False)


def data_of(workload: Workload) -> Data:
    """The first examples of the workload's data."""
    return first_examples(workload.name)


@cache
def first_examples(name: str) -> Data:
    """The first examples of a workload's data, enough for a step of five updates and for a label of every class."""
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    return {name: array[:100].copy() for name, array in small(workload).data().items()}


def shapes_of_state(workload: Workload) -> State:
    data = data_of(workload)
    batch = {name: array[:1] for name, array in data.items()}
    return jax.eval_shape(workload.build(data).init, jax.random.key(0), batch)


def weights(player: TorchPlayer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in player.network.parameters()])


def sizes(workload: Workload) -> list[int]:
    return [leaf.size for leaf in jax.tree.leaves(shapes_of_state(workload).params)]


@cache
def shapes_of_small_state(name: str) -> State:
    return shapes_of_state(next(small(workload) for workload in WORKLOADS if workload.name == name))


def random_state(workload: Workload) -> State:
    """A first state of a small workload with random weights everywhere: initial zeros and ones would hide errors."""
    random = np.random.default_rng(0)
    shapes = shapes_of_small_state(workload.name)
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)

    def drawn(shapes: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: random.normal(0.0, 0.1, leaf.shape).astype(leaf.dtype), shapes)

    params, stats = drawn(shapes.params), drawn(shapes.stats)
    averages = {name: {"params": params[name], **stats.get(name, {})} for name in state.ema}
    return state.replace(params=params, stats=stats, ema=averages)


def in_float64(arrays: PyTree) -> PyTree:
    """float32 as float64, uint8 as values in [0, 1], other integers unchanged."""

    def convert(array: np.ndarray) -> np.ndarray:
        if array.dtype == np.uint8:
            return array / 255
        return array.astype(np.float64) if array.dtype == np.float32 else array

    return jax.tree.map(convert, arrays)
