"""How families call their networks, and what a network of the user's own must accept and return.

A network is a Flax Linen module, or any object with the same `init` and `apply`. It is called as::

    module(inputs, train=...)                or, in a conditional family,   module(inputs, condition, train=...)

- `inputs` is `[batch, ...]`, float32: images in the range that the family states, points, or latents.
- `train` is a Python bool. Where it is True, normalization uses the statistics of the batch, running statistics are
  updated, and dropout is active; the key of the stream `dropout` is passed by `rngs`. Networks are initialized with
  `train=False`.
- `condition` is `[batch, ...]` as well, e.g. one-hot labels.
- The result is one array `[batch, ...]` of the shape that the family states, without a final nonlinearity; the
  discriminator of VAE/GAN returns (logits, features). Collections other than `params` are statistics: they are stored
  in `State.stats` and updated by passes with `train=True`.

`check_network` tests this for a module of the user's own when a model is built, with `train=True` and `train=False`,
without computing anything.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.errors import InputError
from jaxgen.typing import Array, KeyArray, Params, Stats


def init_network(network: Any, key: KeyArray, *inputs: Any) -> Params:
    """Return the variables of a network.

    Args:
        network: module as described above.
        key: PRNG key of the parameters.
        *inputs: inputs of any batch size, and a condition where the family has one; None is left out.

    Returns:
        Flax variables: `params` and the collections of statistics.

    Example:
        >>> from jaxgen.nn.mlp import MLP
        >>> sorted(init_network(MLP(hidden=(), shape=()), jax.random.key(0), jnp.zeros((1, 2))))
        ['params']
    """
    return network.init(key, *_given(inputs), train=False)


def apply_network(
    network: Any, name: str, params: Params, stats: Stats, *inputs: Any, train: bool, key: KeyArray | None = None
) -> tuple[Array, Stats]:
    """Apply one network of a game.

    Args:
        network: module as described above.
        name: name of the network.
        params: parameters of all networks.
        stats: statistics of all networks that have any.
        *inputs: inputs, and a condition where the family has one; None is left out.
        train: whether normalization uses the batch, statistics are updated and dropout is active.
        key: PRNG key of dropout; None where nothing is random.

    Returns:
        The output; and `{name: new statistics}`, or nothing where no statistics are updated.

    Example:
        >>> from jaxgen.nn.mlp import MLP
        >>> network = MLP(hidden=(), shape=())
        >>> params = {"discriminator": init_network(network, jax.random.key(0), jnp.zeros((1, 2)))["params"]}
        >>> output, stats = apply_network(network, "discriminator", params, {}, jnp.zeros((3, 2)), train=True)
        >>> output.shape, stats
        ((3,), {})
    """
    variables = {"params": params[name], **stats.get(name, {})}
    rngs = {"dropout": key} if train and key is not None else None
    updated = list(stats.get(name, {})) if train else []
    if not updated:
        return network.apply(variables, *_given(inputs), train=train, rngs=rngs), {}
    output, collections = network.apply(variables, *_given(inputs), train=train, rngs=rngs, mutable=updated)
    return output, {name: collections}


def apply_untyped(network: Any, *arguments: Any, **options: Any) -> Any:
    """Return the result of `network.apply`, whose type Flax does not state.

    Example:
        >>> import flax.linen as linen
        >>> apply_untyped(linen.Dense(1), {"params": {"kernel": jnp.ones((2, 1)), "bias": jnp.zeros(1)}}, jnp.ones(2))
        Array([2.], dtype=float32)
    """
    return network.apply(*arguments, **options)


def standing_statistics(
    key: KeyArray,
    network: Any,
    variables: Params,
    batches: Array,
    conditions: Array | None = None,
    *,
    momentum: float = 0.9,
) -> Params:
    """Return a network with the mean statistics of batches, for its present parameters.

        mean = sum over passes of the mean of the batch / passes,    the variance likewise

    Every batch is passed with `train=True`. Running statistics that are 0 before a pass are the statistics of the batch
    times 1 - momentum after it. Vectors of spectral normalization are updated by every pass, as in the authors' code.

    Args:
        key: PRNG key of dropout.
        network: module as described above.
        variables: its variables, e.g. averaged parameters with statistics of other ones.
        batches: inputs `[passes, batch, ...]`, e.g. latents.
        conditions: conditions `[passes, batch, ...]` of a conditional network.
        momentum: weight of the running statistics of the network before a batch.

    Returns:
        Variables with the same parameters.

    Reference:
        Brock et al. 2019, arXiv:1809.11096, appendix C.1 ("standing statistics").

    Example:
        >>> from jaxgen.nn.mlp import MLP
        >>> network, key = MLP(hidden=(4,), shape=(), normalization="batch"), jax.random.key(0)
        >>> variables = init_network(network, key, jax.random.normal(key, (2, 3)))
        >>> sorted(standing_statistics(key, network, variables, jax.random.normal(key, (100, 50, 3))))
        ['batch_stats', 'params']
    """
    stats = {name: collection for name, collection in variables.items() if name != "params"}
    zeros = {name: jax.tree.map(jnp.zeros_like, stats[name]) for name in stats if name == "batch_stats"}

    def update(stats: Stats, part: Any) -> tuple[Stats, Any]:
        number, inputs, condition = part
        given, rngs = {"params": variables["params"], **stats, **zeros}, {"dropout": jax.random.fold_in(key, number)}
        _, new = network.apply(given, *_given((inputs, condition)), train=True, rngs=rngs, mutable=list(stats))
        return {**stats, **new}, {name: new[name] for name in zeros}

    stats, of_batches = jax.lax.scan(update, stats, (np.arange(len(batches)), batches, conditions))
    means = jax.tree.map(lambda x: x.mean(axis=0) / (1 - momentum), of_batches)
    return {"params": variables["params"], **stats, **means}


def make_dropout_key(key: KeyArray, number: int = 0) -> KeyArray:
    """Return a key for dropout that differs from all keys that a loss splits off the same key.

    Args:
        key: PRNG key of a loss.
        number: number of the network, where several use the same key.

    Returns:
        The key.

    Example:
        >>> key = jax.random.key(0)
        >>> bool(make_dropout_key(key) == make_dropout_key(key, 1))
        False
    """
    return jax.random.fold_in(key, np.uint32(2**32 - 1 - number))


def check_network(
    role: str, network: Any | None, inputs: tuple[Any, ...], output: tuple[int, ...], *, with_features: bool = False
) -> None:
    """Check that a network accepts the inputs of its role and returns an array of the shape that its role needs.

    Args:
        role: name of the network in its family, for the message.
        network: module of the user's own; None where a named architecture takes its place, which fits its role.
        inputs: arrays, or their shapes, for a batch of two examples.
        output: shape of the output for one example.
        with_features: whether the module must return a pair of the output and of an array of features.

    Raises:
        InputError: if the module cannot be called so, or its output is not one array of that shape.

    Example:
        >>> from jaxgen.nn.mlp import MLP
        >>> check_network("encoder", MLP(hidden=(), shape=(3,)), (jnp.zeros((2, 5)),), (4,))
        Traceback (most recent call last):
        jaxgen.errors.InputError: the encoder must return an array [batch, 4] for inputs [batch, 5], got [batch, 3]
    """
    if network is None:
        return
    given = _given(inputs)
    expected = (len(given[0]), *output)
    try:
        key = jax.random.key(0)
        variables = jax.eval_shape(lambda *arrays: network.init(key, *arrays, train=False), *given)
        results = [_result_shapes(network, variables, given, train=train) for train in (True, False)]
    except InputError:
        raise
    except Exception as error:  # Whatever a module of the user's own raises.
        shapes = ", ".join(_shape(x) for x in given)
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InputError(
            f"the {role} must be a Flax module that can be called as module({shapes}, train=...), got "
            f"{type(network).__name__}: {reason}"
        ) from error
    for result in results:
        if with_features:
            if not (isinstance(result, tuple) and len(result) == 2 and hasattr(result[1], "shape")):
                raise InputError(
                    f"the {role} must return a pair of arrays (output, features), got {type(result).__name__}"
                )
            result = result[0]
        if getattr(result, "shape", None) != expected:
            wanted, found = _named(output), _shape(result) if hasattr(result, "shape") else type(result).__name__
            raise InputError(f"the {role} must return an array {wanted} for inputs {_shape(given[0])}, got {found}")


def _result_shapes(network: Any, variables: Params, inputs: tuple[Any, ...], *, train: bool) -> Any:
    """What a network returns in training or outside it, as shapes."""

    def apply(variables: Params, *arrays: Any) -> Any:
        if not train:
            return network.apply(variables, *arrays, train=False)
        rngs, collections = {"dropout": jax.random.key(0)}, [name for name in variables if name != "params"]
        return network.apply(variables, *arrays, train=True, rngs=rngs, mutable=collections)[0]

    return jax.eval_shape(apply, variables, *inputs)


def _given(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x for x in inputs if x is not None)


def _shape(array: Any) -> str:
    return _named(array.shape[1:])


def _named(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(['batch', *map(str, shape)])}]"
