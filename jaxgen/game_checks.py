"""Checks of the players of a game: errors that name the player, before anything is compiled."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp

from jaxgen.typing import Array

if TYPE_CHECKING:
    from jaxgen.game import Player


def check_players(players: Sequence["Player"], *, simultaneous: bool) -> None:
    """Raise a ValueError unless players, and the regularizers of each, have names of their own and fit each other."""
    names = [player.name for player in players]
    if len(set(names)) < len(names):
        raise ValueError(f"the names of players must differ, got {names}")
    for player in players:
        terms = [regularizer.name for regularizer in player.regularizers]
        if len(set(terms)) < len(terms):
            raise ValueError(f"the names of the regularizers of player '{player.name}' must differ, got {terms}")
        if (every := [regularizer.every for regularizer in player.regularizers]) and min(every) < 1:
            raise ValueError(f"`every` of the regularizers of player '{player.name}' must be at least 1, got {every}")
        if player.accumulations < 1:
            raise ValueError(f"accumulations of player '{player.name}' must be at least 1, got {player.accumulations}")
    trained = [name for player in players for name in player.trains]
    if simultaneous and len(set(trained)) < len(trained):
        raise ValueError(f"players that share a forward pass must train different networks, got {trained}")
    if simultaneous and any(player.updates != 1 for player in players):
        raise ValueError("players that share a forward pass must make one update per step each")
    if simultaneous and any(player.accumulations != 1 for player in players):
        raise ValueError("players that share a forward pass must have 1 as accumulations")


def check_loss(player: "Player", value: Array) -> None:
    """Raise a ValueError unless the loss of a player is a real scalar."""
    if value.shape or not jnp.issubdtype(value.dtype, jnp.floating):
        raise ValueError(f"the loss of player '{player.name}' must be a real scalar, got {value.dtype}{[*value.shape]}")


def check_names(players: Sequence["Player"], averages: Mapping[str, Any], networks: Mapping[str, Any]) -> None:
    """Raise a ValueError if a player or an average names a network that does not exist."""
    named = {name for player in players for name in player.trains} | set(averages)
    if missing := named - set(networks):
        raise ValueError(f"no network is named {sorted(missing)}, the networks are {sorted(networks)}")
