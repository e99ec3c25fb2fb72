"""Augmentation of the training data of any model."""

from collections.abc import Callable

import jax
import numpy as np

from jaxgen.game import Model, State, Step
from jaxgen.typing import Array, Batch, KeyArray, Metrics


def augmented(model: Model, augmentation: Callable[[KeyArray, Batch], Batch]) -> Model:
    """Return a model whose step applies a random change to the batch first; everything else is that of the model.

    The change is compiled with the step, on the device. Its keys are derived from those of the steps, so a run that is
    killed and resumed ends with the same bits.

    Args:
        model: model to train.
        augmentation: `(key, batch) -> batch`, such as `jaxgen.data.Augmentation(flip=True)`.

    Returns:
        The model, whose phases are changed as well.

    Example:
        >>> from jaxgen.data import Augmentation, load
        >>> from jaxgen.models import vae
        >>> from jaxgen.training import fit
        >>> digits = load("digits")
        >>> model = augmented(vae.build(vae.Config(hidden=(8,)), digits), Augmentation(shift=1))
        >>> int(fit(model, digits, key=jax.random.key(0), steps=2, batch_size=8).state.step)
        2
    """

    def changed(step: Step) -> Step:
        def augmented_step(key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
            return step(key, state, augmentation(_augmentation_key(key), batch))

        return augmented_step

    phases = tuple(phase._replace(step=changed(phase.step)) for phase in model.phases)
    return model._replace(step=changed(model.step), phases=phases)


def _augmentation_key(key: KeyArray) -> Array:
    # Models split the key of a step, which gives the keys that fold_in gives for 0, 1, ...
    return jax.random.fold_in(key, np.uint32(2**32 - 1))
