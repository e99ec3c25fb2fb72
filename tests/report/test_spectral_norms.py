"""Spectral norms are those of the kernels that the networks apply."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.models import REGISTRY
from jaxgen.nn.normalization import SpectralNorm
from jaxgen.report import spectral_norms
from jaxgen.report.section import NotApplicable
from jaxgen.runs import Run, RunConfig
from jaxgen.training.seeds import add_seed_axis
from tests.report.small_reports import inputs_of, without_files


def largest_singular_value(kernel, vectors):
    """Evaluation makes one step of the iteration from the vectors that training has stored."""
    kernel, vectors = np.float64(kernel), np.float64(vectors)
    basis = np.linalg.qr(kernel.T @ kernel @ vectors)[0]
    return np.linalg.norm(kernel, 2) / np.linalg.norm(kernel @ basis, 2)


def test_norms_are_those_of_the_kernels_that_the_discriminator_applies(trained, monkeypatch):
    run = trained("digits")
    drawn = without_files(monkeypatch, "spectral_norms")
    section = spectral_norms.spectral_norms(inputs_of(run))
    *layers, bound = drawn[0][0].axes[0].lines
    assert set(bound.get_ydata()) == {1.01}
    largest = []
    for i, line in enumerate(layers):
        assert (line.get_label(), [*line.get_xdata()]) == (f"discriminator/Dense_{i}", [0, 20])
        kernel = run.state.params["discriminator"][f"Dense_{i}"]["kernel"][0]
        vectors = run.state.stats["discriminator"]["spectral"][f"SpectralNorm_{i}"]["U"][0]
        largest.append(largest_singular_value(kernel, vectors))
        assert line.get_ydata()[-1] == pytest.approx(largest[-1], rel=1e-5)
    assert len(largest) == 2
    assert section.metrics["largest_singular_value"] == [pytest.approx(max(largest), rel=1e-5)]


def test_norms_of_an_averaged_generator_are_those_of_the_averaged_kernels(monkeypatch):
    spectral = {"generator_normalization": "spectral", "discriminator_normalization": "spectral"}
    config = REGISTRY["gan"].config(architecture="mlp", hidden=(16,), ema=0.9, **spectral)
    shown = example(load("digits"))
    model = REGISTRY["gan"].build(config, shown)
    state = model.init(jax.random.key(0), shown)
    average = state.ema["generator"]
    kernels = jax.tree.map(lambda x: jax.random.normal(jax.random.key(1), x.shape), average["params"])
    state = state.replace(ema={"generator": average | {"params": kernels}})
    run = Run(None, "gan", RunConfig(model_config=config), shown, model, add_seed_axis(state), 0, {}, ())
    monkeypatch.setattr(spectral_norms, "checkpointed_runs", lambda run, number: [(0, run)])
    drawn = without_files(monkeypatch, "spectral_norms")
    section = spectral_norms.spectral_norms(inputs_of(run))
    largest = []
    for params, network in ((state.params["discriminator"], "discriminator"), (kernels, "generator")):
        for i in range(2):
            vectors = state.stats[network]["spectral"][f"SpectralNorm_{i}"]["U"]
            largest.append(largest_singular_value(params[f"Dense_{i}"]["kernel"], vectors))
    assert max(largest[2:]) > max(largest[:2]) + 0.01
    assert section.metrics["largest_singular_value"] == [pytest.approx(max(largest), rel=1e-5)]
    assert "The kernels of the averaged networks (generator) are those of the moving averages." in drawn[0][1]


class Critic(linen.Module):
    """A network with names of the user's own for its layers with spectral normalization."""

    names: tuple[str, ...]

    @linen.compact
    def __call__(self, x, *, train):
        x = x * self.param("scale", linen.initializers.ones, (x.shape[-1],))
        for name in self.names:
            x = SpectralNorm(linen.Dense(4, name=name))(x, train=train)
        return SpectralNorm(linen.Dense(1, name="head"))(x, train=train)


def inputs_with_critic(monkeypatch, *names):
    variables = Critic(names).init(jax.random.key(0), jnp.ones((1, 3)), train=False)
    state = State(jnp.int32(0), {"c": variables["params"]}, {"c": {"spectral": variables["spectral"]}}, {}, {})
    run = Run(None, "own", RunConfig(None), {}, None, add_seed_axis(state), 0, {}, ())
    monkeypatch.setattr(spectral_norms, "checkpointed_runs", lambda run, number: [(0, run)])
    return inputs_of(run)


def test_names_of_the_users_own_are_those_of_the_lines(monkeypatch):
    drawn = without_files(monkeypatch, "spectral_norms")
    section = spectral_norms.spectral_norms(inputs_with_critic(monkeypatch, "hidden"))
    assert {line.get_label() for line in drawn[0][0].axes[0].lines} >= {"c/hidden", "c/head"}
    assert section.metrics["largest_singular_value"] == [pytest.approx(1, abs=1e-3)]


def test_section_is_left_out_where_names_are_ambiguous_or_the_collection_is_another_one(monkeypatch):
    inputs = inputs_with_critic(monkeypatch, "first", "second")
    with pytest.raises(InputError, match="must have the names that Flax gives, or be a single one, got first, second"):
        spectral_norms.spectral_norms(inputs)
    state = inputs.run.state.replace(stats={"c": {"spectral": {"own": jnp.ones((1, 2))}}})
    with pytest.raises(NotApplicable, match="is not that of"):
        spectral_norms.spectral_norms(inputs_of(inputs.run._replace(state=state)))
