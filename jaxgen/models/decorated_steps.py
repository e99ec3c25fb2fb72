"""A model whose steps and losses are called within a context."""

from collections.abc import Callable
from typing import Any

from jaxgen.game import Model


def with_decorated_steps(model: Model, decorator: Callable[[Any], Any]) -> Model:
    """Return a model with decorated steps and losses, those of its phases as well; everything else is unchanged.

    Args:
        model: model to train.
        decorator: decorator of a function.

    Returns:
        The model with other steps and losses.

    Example:
        >>> model = Model(None, lambda key, state, batch: (state, {}), ())
        >>> with_decorated_steps(model, lambda step: "decorated").step
        'decorated'
    """
    players = tuple(player._replace(loss=decorator(player.loss)) for player in model.players)
    phases = tuple(phase._replace(step=decorator(phase.step)) for phase in model.phases)
    return model._replace(step=decorator(model.step), players=players, phases=phases)
