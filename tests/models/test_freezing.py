"""Freezing of networks in every family that has several."""

import jax
import numpy as np
import pytest

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, gan
from jaxgen.training import fit
from jaxgen.training.states import initial_state

DIGITS = load("digits")
MLP = {"hidden": (4,), "architecture": "mlp"}
FAMILIES = {
    "autoencoder": ({**MLP, "latent_dim": 2}, "encoder"),
    "biggan": ({"width": 1, "latent_dim": 2, "shared_dim": 2}, "generator"),
    "cvae": ({**MLP, "latent_dim": 2}, "decoder"),
    "gan": ({**MLP, "latent_dim": 2, "loss": "wasserstein", "clip": 0.01, "discriminator_updates": 2}, "discriminator"),
    "progressive": ({"base": 16, "largest": 4, "latent_dim": 2, "start": 8}, "generator"),
    "stylegan": ({"base": 16, "largest": 4, "latent_dim": 2, "style_dim": 2}, "discriminator"),
    "stylegan2": ({"base": 16, "largest": 4, "latent_dim": 2, "style_dim": 2}, "generator"),
    "vae": ({**MLP, "latent_dim": 2, "weight_decay": 0.1}, "encoder"),
    "vaegan": ({"width": 4, "latent_dim": 2}, "decoder"),
}

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")

UNUSED = {"torgb4", "fromrgb4"}
"""Layers of families that grow for images that are smaller than their first ones."""


def test_every_family_is_tested():
    # A classifier has a single network, and style transfer a single one that is trained.
    assert {*FAMILIES, "classifier", "style_transfer"} == set(REGISTRY)


def test_the_only_network_of_a_model_is_not_frozen():
    with pytest.raises(InputError, match="freeze must leave a network to train, got classifier of classifier"):
        REGISTRY["classifier"].build(REGISTRY["classifier"].config(**MLP, freeze=("classifier",)), DIGITS)


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_network_keeps_its_first_parameters_and_the_other_does_not(family):
    options, frozen = FAMILIES[family]
    model = REGISTRY[family].build(REGISTRY[family].config(**options, freeze=(frozen,)), DIGITS)
    key = jax.random.key(0)
    before = initial_state(model, key[None], example(DIGITS)).params
    after = fit(model, DIGITS, key=key, steps=2, batch_size=8).state.params
    for name, params in after.items():
        pairs = zip(jax.tree.leaves_with_path(params), jax.tree.leaves(before[name]), strict=True)
        same = [np.array_equal(x, y[0]) for (path, x), y in pairs if not UNUSED & {key.key for key in path}]
        assert all(same) if name == frozen else not any(same), name


def test_frozen_discriminator_excludes_unrolled_updates():
    with pytest.raises(InputError, match="freeze excludes these"):
        gan.Config(unrolled_steps=2, freeze=("discriminator",))
