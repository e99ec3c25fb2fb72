"""Which arrays of a state samples are computed from: those that a file needs from which one only samples."""

from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.game import State
from jaxgen.runs.exported_file import COLLECTIONS
from jaxgen.runs.loading import Run
from jaxgen.training.seeds import extract_seed


def unsampled_parts(run: Run) -> list[str]:
    """Return the parts of a state that samples of a run do not depend on.

    A part is not needed if samples have the same bits with NaN in its place. So the discriminator of a GAN is left out,
    the encoder of a VAE, and the parameters of a network of which the moving average samples.

    Args:
        run: run of a model that samples.

    Returns:
        Collections of networks, such as "params/discriminator".

    Raises:
        InputError: if the model does not sample.
    """
    if run.model.sample is None:
        raise InputError(f"the model '{run.family}' does not sample: leave out samples_only")
    sample, key = run.model.sample, jax.random.key(0)
    samples = jax.jit(lambda state: sample(key, state, 2))
    state = extract_seed(run.state, run.first_finite)
    complete = np.asarray(samples(state)).tobytes()
    parts = [(collection, network) for collection in COLLECTIONS for network in getattr(state, collection)]
    return [
        f"{collection}/{network}"
        for collection, network in parts
        if np.asarray(samples(_with_nan(state, collection, network))).tobytes() == complete
    ]


def without_parts(arrays: Mapping[str, Any], parts: Collection[str]) -> dict[str, Any]:
    """Return the arrays of an exported state but for those of some parts.

    Args:
        arrays: name -> array, as of `jaxgen.runs.exported_file.arrays_of`.
        parts: what is left out, as of `unsampled_parts`.

    Returns:
        The other arrays.

    Example:
        >>> list(without_parts({"params/decoder/w": 1, "params/encoder/w": 2}, {"params/encoder"}))
        ['params/decoder/w']
    """
    return {name: array for name, array in arrays.items() if _part(name) not in parts}


def with_parts(
    arrays: Mapping[str, Any], parts: Collection[str], initial: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return the arrays of an exported state with those that were left out.

    Args:
        arrays: arrays of the file.
        parts: what was left out, as of `unsampled_parts`.
        initial: name -> array of a state before the first step.

    Returns:
        All arrays: those of a part that was left out are those of the moving average, where there is one, or else the
        initial ones; and the names of the networks that have their initial parameters.

    Example:
        >>> with_parts({"params/decoder/w": 1}, ["params/encoder"], {"params/encoder/w": 2, "params/decoder/w": 3})
        ({'params/decoder/w': 1, 'params/encoder/w': 2}, ['encoder'])
    """
    completed, networks = dict(arrays), []
    for name, array in initial.items():
        if _part(name) in parts:
            collection, network, *rest = name.split("/")
            averaged = "/".join(["ema", network, *(["params"] if collection == "params" else []), *rest])
            completed[name] = arrays.get(averaged, array)
            if collection == "params" and averaged not in arrays and network not in networks:
                networks.append(network)
    return completed, networks


def random_network(network: str) -> str:
    """Return what it means for the user that a network of an imported run has random weights.

    Args:
        network: name of the network.

    Returns:
        The end of a sentence.
    """
    return (
        "the run has a new one with random weights, so its outputs mean nothing, and a training that starts from this "
        f"run begins with {'an' if network[0] in 'aeiou' else 'a'} {network} that has learned nothing"
    )


def _part(name: str) -> str:
    """The collection and the network of an array."""
    return "/".join(name.split("/")[:2])


def _with_nan(state: State, collection: str, network: str) -> State:
    """The state with NaN in place of the numbers of one network."""
    found = getattr(state, collection)
    replaced = jax.tree.map(
        lambda x: jnp.full_like(x, jnp.nan) if jnp.issubdtype(x.dtype, jnp.floating) else x, found[network]
    )
    return state.replace(**{collection: {**found, network: replaced}})
