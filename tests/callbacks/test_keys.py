"""Keys of callbacks against those of the training."""

import jax
import numpy as np

from jaxgen.callbacks.keys import callback_key
from jaxgen.training.states import run_keys


def data(key):
    return tuple(np.ravel(jax.random.key_data(key)).tolist())


def test_keys_of_callbacks_differ_from_each_other_and_between_seeds():
    keys = [callback_key(seed, name) for seed in range(20) for name in ("image_grid", "sample_metrics")]
    assert len({data(key) for key in keys}) == 40


def test_keys_of_callbacks_differ_from_those_of_the_training():
    """Also from those of its first steps, and from those into which the callbacks split theirs."""
    for seed in range(3):
        keys = run_keys(jax.random.key(seed))
        steps = [jax.random.fold_in(keys.steps, t) for t in range(200)]
        epochs = [jax.random.fold_in(keys.order, epoch) for epoch in range(20)]
        of_training = {data(key) for key in (jax.random.key(seed), *keys, *steps, *epochs)}
        of_callbacks = [callback_key(seed, name) for name in ("image_grid", "sample_metrics")]
        of_callbacks += list(jax.random.split(of_callbacks[1], 4))
        assert not of_training & {data(key) for key in of_callbacks}


def test_the_key_of_a_callback_is_the_same_in_all_versions():
    """A run that is resumed with another version has the same latents in its figures."""
    assert data(callback_key(7, "image_grid")) == (2386079685, 574495928)
