"""Freezing of networks in every family that has several."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY, gan
from jaxgen.training import fit
from jaxgen.training.states import initial_state
from tests.models.random_states import random_state

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


def test_every_family_is_tested():
    # A classifier has a single network, and style transfer a single one that is trained.
    assert {*FAMILIES, "classifier", "style_transfer"} == set(REGISTRY)


def test_the_only_network_of_a_model_is_not_frozen():
    with pytest.raises(InputError, match="freeze must leave a network to train, got classifier of classifier"):
        REGISTRY["classifier"].build(REGISTRY["classifier"].config(**MLP, freeze=("classifier",)), DIGITS)


def frozen_model(family):
    options, frozen = FAMILIES[family]
    return REGISTRY[family].build(REGISTRY[family].config(**options, freeze=(frozen,)), DIGITS), frozen


@pytest.mark.parametrize("family", FAMILIES)
def test_updates_of_players_keep_the_parameters_of_a_frozen_network_and_change_the_others(family):
    model, frozen = frozen_model(family)
    params = random_state(model, example(DIGITS)).params
    random = np.random.default_rng(0)
    players = {id(player): player for phase in (model, *model.phases) for player in phase.players}
    for player in players.values():
        own = {name: params[name] for name in player.trains}
        gradients = jax.tree.map(lambda x: random.uniform(0.1, 1.0, x.shape).astype(x.dtype), own)

        @jax.jit
        def updated(own, gradients, player=player):
            tx = optax.with_extra_args_support(player.tx)
            updates, _ = tx.update(gradients, tx.init(own), own, step=jnp.int32(0))
            return player.project(optax.apply_updates(own, updates))

        for name, after in updated(own, gradients).items():
            same = jax.tree.leaves(jax.tree.map(np.array_equal, own[name], after))
            assert all(same) if name == frozen else not any(same), name


def test_a_training_changes_no_parameter_of_a_frozen_network_and_every_one_of_the_other():
    """Of two players, of which the frozen one has a projection and several updates."""
    model, frozen = frozen_model("gan")
    key = jax.random.key(0)
    before = initial_state(model, key[None], example(DIGITS)).params
    after = fit(model, DIGITS, key=key, steps=2, batch_size=8).state.params
    for name, params in after.items():
        pairs = zip(jax.tree.leaves(params), jax.tree.leaves(before[name]), strict=True)
        same = [np.array_equal(x, y[0]) for x, y in pairs]
        assert all(same) if name == frozen else not any(same), name


def test_frozen_discriminator_excludes_unrolled_updates():
    with pytest.raises(InputError, match="freeze excludes these"):
        gan.Config(unrolled_steps=2, freeze=("discriminator",))
