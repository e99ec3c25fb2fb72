"""A run whose generator has styles and is known: pixel [i, j] of an image is the j-th coordinate of layer i's style."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.game import Model, Styles
from jaxgen.runs import Run, RunConfig
from tests.report.small_reports import STATE, inputs_of

LAYERS, STYLE = 6, 4
AVERAGE = jnp.array([0.5, 0.4, 0.6, 0.5])
MATRIX = jnp.asarray(np.random.default_rng(0).normal(size=(3, STYLE)) / 20, jnp.float32)
"""The style of a latent z is AVERAGE + z MATRIX."""

NOISE_SCALE = 0.1
STORED = {"noise": jnp.linspace(-1.0, 1.0, LAYERS * STYLE).reshape(LAYERS, STYLE)}


def synthesize(state, w, noise):
    return (w + NOISE_SCALE * noise["noise"])[..., None]


def inputs_with_styles(**fields):
    """The input of a section for this run."""
    styles = Styles(
        layers=LAYERS,
        map=lambda state, z: AVERAGE + z @ MATRIX,
        synthesize=synthesize,
        noise=lambda state: STORED,
        average=lambda state: AVERAGE,
        modulations=lambda state: [jnp.eye(STYLE) * jnp.array([1.0, 3.0, 2.0, 0.5]), jnp.ones((STYLE, 1))],
    )
    model = Model(None, None, (), sample_latent=lambda key, n: jax.random.normal(key, (n, 3)), styles=styles)
    shown = {"image": np.zeros((1, LAYERS, STYLE, 1), np.uint8)}
    run = Run(None, "stylegan2", RunConfig(model_config=None, data="digits"), shown, model, STATE, 0, {}, ())
    return inputs_of(run, **fields)


def latents_of(inputs, n, key=None):
    """The styles of n latents that are drawn with the key of the report."""
    return np.asarray(AVERAGE + jax.random.normal(inputs.key if key is None else key, (n, 3)) @ MATRIX)


def image_of(layers):
    """The image of the styles of layers with the stored noise."""
    return (np.asarray(layers) + NOISE_SCALE * np.asarray(STORED["noise"]))[..., None]
