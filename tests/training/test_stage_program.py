"""The compiled program of a phase: what it may depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.data import Stream
from jaxgen.data.streaming import ArraySource
from jaxgen.models import REGISTRY
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.training import stage_program
from jaxgen.training.loop import fit

DATA = {
    "image": np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8),
    "label": np.arange(12, dtype=np.int32) % 3,
}

FAMILIES = {
    "vae": {"hidden": (4,), "latent_dim": 2},
    "gan": {"architecture": "dcgan", "width": 1, "latent_dim": 2},
    "biggan": {"width": 1, "latent_dim": 2, "shared_dim": 2},
}


class Lowered(Exception):  # noqa: N818
    """Ends a training with the text of its first program, which is not compiled."""


@pytest.fixture
def program_of(monkeypatch):
    """The text of the program that `fit` would compile."""

    def jit(function, **options):
        options = {**options, "keep_unused": True}

        class Program:
            def lower(self, *arguments):
                raise Lowered(jax.jit(function, **options).lower(*arguments).as_text())

        return Program()

    monkeypatch.setattr(stage_program, "jit", jit)

    @convolutions_by_xla()
    def of(model, data=DATA, **options):
        # A state of other values than those of `model.init`, which would be compiled.
        state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(model.init, jax.random.key(0), DATA))
        state = state.replace(step=state.step + options.get("first_step", 0))
        with pytest.raises(Lowered) as caught:
            fit(model, data, key=jax.random.key(0), batch_size=4, state=state, **options)
        return str(caught.value)

    return of


@pytest.mark.parametrize("family", FAMILIES)
def test_the_program_does_not_depend_on_how_many_steps_are_requested(family, program_of):
    """XLA may round another program in another way, and a training that is resumed would have other bits."""
    model = REGISTRY[family].build(REGISTRY[family].config(**FAMILIES[family]), DATA)
    requests = ({"steps": 3, "chunk": 1}, {"steps": 2, "chunk": 100}, {"steps": 3, "chunk": 3, "first_step": 2})
    assert len({program_of(model, **request) for request in requests}) == 1


def test_the_program_for_a_stream_does_not_depend_on_how_many_steps_are_requested(program_of):
    model, stream = REGISTRY["vae"].build(REGISTRY["vae"].config(**FAMILIES["vae"]), DATA), Stream(ArraySource(DATA))
    programs = {program_of(model, stream, steps=steps, chunk=chunk) for steps, chunk in ((3, 1), (3, 3), (9, 100))}
    assert len(programs) == 1
    assert program_of(model, steps=3) not in programs
