"""Rematerialization: the same values and gradients, and fewer bytes that are stored for the backward pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.memory import bytes_of
from jaxgen.nn import biggan_networks, progressive_networks, stylegan2_networks, stylegan_networks
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.nn.rematerialization import rematerialization

RANDOM = np.random.default_rng(0)
MAP, STYLES, CONDITION, IMAGE = (
    jnp.asarray(RANDOM.normal(size=shape), jnp.float32) for shape in ((2, 4, 4, 4), (2, 3, 3), (2, 5), (2, 4, 4, 1))
)

# Blocks with a random key, with statistics, and with two outputs: (block, arguments, options).
EXAMPLES = (
    (stylegan_networks.SynthesisBlock(2), (MAP, STYLES), {"noise": "random"}),
    (biggan_networks.GeneratorBlock(2), (MAP, CONDITION), {"train": True}),
    (stylegan2_networks.DiscriminatorBlock(4, 2, "resnet"), (MAP, IMAGE), {}),
)


@convolutions_by_xla()
def test_values_statistics_and_gradients_are_those_of_stored_features():
    """All in one program, as compiling takes most of the time."""

    def of_example(number):
        block, arguments, options = EXAMPLES[number]
        key = jax.random.key(number)
        keys = {"params": key, "noise": key}
        shapes = jax.eval_shape(lambda: block.init(keys, *arguments, **options))
        variables = jax.tree.map(lambda x: jnp.asarray(np.abs(RANDOM.normal(size=x.shape)), x.dtype), shapes)

        def loss(params, arguments):
            outputs, stats = block.apply(
                {**variables, "params": params}, *arguments, **options, rngs={"noise": key}, mutable=True
            )
            leaves = jax.tree.leaves(outputs)
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in leaves), {k: v for k, v in stats.items() if k != "params"}

        def values():
            return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(variables["params"], arguments)

        return values(), rematerialization()(values)()

    found = jax.jit(lambda: [of_example(number) for number in range(len(EXAMPLES))])()
    for stored, again in found:
        assert max(float(jnp.abs(gradient).max()) for gradient in jax.tree.leaves(stored[1])) > 0.1
        for x, y in zip(jax.tree.leaves(stored), jax.tree.leaves(again), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("network", "inputs"),
    [
        (stylegan2_networks.Discriminator(size=64, base=256, group=2), (jnp.ones((4, 64, 64, 3)),)),
        (progressive_networks.Discriminator(size=64, base=128, group=2), (jnp.ones((4, 64, 64, 3)),)),
        (biggan_networks.Discriminator(width=4, classes=2), (jnp.ones((4, 64, 64, 3)), jnp.zeros(4, jnp.int32))),
    ],
)
def test_less_is_stored_for_the_backward_pass(network, inputs):
    variables = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=False))

    def stored(variables, inputs):
        """The backward pass, a pytree of what it needs of the forward pass."""

        def total(params):
            return network.apply({**variables, "params": params}, *inputs, train=False).sum()

        return jax.vjp(total, variables["params"])[1]

    of_features = bytes_of(jax.eval_shape(stored, variables, inputs))
    with rematerialization():
        of_blocks = bytes_of(jax.eval_shape(stored, variables, inputs))
    assert of_blocks < 0.6 * of_features
