"""What the families with styles share: styles of new latents, mixed at random, and the two halves of the generator."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp

from jaxgen._arrays import is_known
from jaxgen.averaging import with_averages
from jaxgen.game import Model, State, Styles
from jaxgen.models.labels import Labels, each_label
from jaxgen.models.networks import apply_untyped
from jaxgen.models.spaces import Spaces
from jaxgen.nn.layer_styles import Generator, mixed, repeated, truncated
from jaxgen.typing import Array, Float, Int, KeyArray, Params, PyTree, Scalar, Stats


def new_styles(
    generator: Generator,
    key: KeyArray,
    variables: Params,
    label: Int[Array, " n"] | None,
    n: int,
    *,
    latent_dim: int,
    mixing: Scalar,
    layers: int | None = None,
) -> tuple[Float[Array, "n styles style"], Stats]:
    """Return styles of new latents for all layers, mixed at random, and the statistics of the mapping network.

    Only the first latents count for the average of styles. With the probability `mixing`, the layers from a random one
    on have the style of a second latent, the same ones in the whole batch.

    Args:
        generator: the generator.
        key: PRNG key.
        variables: its variables.
        label: a class for each style; None without classes.
        n: number of styles.
        latent_dim: dimension of the latents.
        mixing: probability of a second style.
        layers: number of first layers of which the random one is, not the first of them; None for all.

    Returns:
        The styles, and the changed statistics.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, section 3.1.
    """
    first_key, second_key, layer_key, choice_key = jax.random.split(key, 4)
    z = jax.random.normal(first_key, (n, latent_dim))
    w, changed = apply_untyped(generator, variables, z, label, train=True, method="map", mutable=["latent_average"])
    count = generator.synthesis.styles
    if is_known(mixing) and mixing == 0:
        return repeated(w, count), changed
    second = apply_untyped(
        generator, variables, jax.random.normal(second_key, (n, latent_dim)), label, train=False, method="map"
    )
    # One layer for the whole batch, from which on the second styles count; all layers where they do not.
    crossover = jax.random.randint(layer_key, (), 1, count if layers is None else layers)
    crossover = jnp.where(jax.random.bernoulli(choice_key, mixing), crossover, count)
    return mixed(w, second, crossover, count), changed


def styles_of(
    generator: Generator,
    variables: Params,
    latent: Float[Array, "n latent"] | Float[Array, "n styles latent"],
    label: Int[Array, " n"] | None,
    *,
    truncation: Scalar | None,
    layers: int | None = None,
) -> Float[Array, "n styles style"]:
    """Return the styles of given latents for all layers, drawn towards their average.

    Args:
        generator: the generator.
        variables: its variables.
        latent: one latent for each image, whose style all layers have (W), or one for each layer of it (W+).
        label: a class for each image; None without classes.
        truncation: share of the deviation from the average that is kept, one or one for each; None for all of it.
        layers: number of first layers whose styles are changed; None for all.

    Returns:
        The styles.

    Reference:
        Karras et al. 2019, arXiv:1812.04948, appendix B.
    """
    count = generator.synthesis.styles
    if latent.ndim == 2:
        styles = repeated(apply_untyped(generator, variables, latent, label, train=False, method="map"), count)
    else:
        of_layers = latent.reshape(-1, latent.shape[-1])
        label = None if label is None else jnp.repeat(label, count)
        w = apply_untyped(generator, variables, of_layers, label, train=False, method="map")
        styles = w.reshape(len(latent), count, -1)
    if truncation is None:
        return styles
    psi = jnp.broadcast_to(jnp.asarray(truncation, styles.dtype), (len(latent),))[:, None, None]
    return truncated(styles, variables["latent_average"]["mapping"]["w"], psi, layers=layers)


def style_decoder(
    generator: Generator,
    spaces: Spaces,
    draw: Callable[[State, Params, Array], Array],
    *,
    layers: int | None = None,
) -> Callable[..., Array]:
    """Return `decode` of a model with styles: the images of given latents by the averaged generator.

    Latents are those of `styles_of`, [n, latent] or [n, styles, latent].

    Args:
        generator: the generator.
        spaces: latents, labels and images of the networks.
        draw: as of `style_functions`.
        layers: number of first layers whose styles a truncation changes; None for all.

    Returns:
        `(state, latent, *, label=None, truncation=None) -> images`.
    """

    def decode(
        state: State, latent: Array, *, label: Labels | None = None, truncation: Scalar | None = None
    ) -> Float[Array, "n height width channels"]:
        labels = spaces.each_label(label, len(latent))
        variables = averaged_variables(state)
        w = styles_of(generator, variables, latent, labels, truncation=truncation, layers=layers)
        return draw(state, variables, w)

    return decode


def every_layer_sampler(model: Model) -> Callable[..., Array]:
    """Return the function `sample` of a model with styles in which each layer has the style of a latent of its own.

    The styles of an image are then a random point of W+ instead of W; a conditional model has one class in all layers.

    Args:
        model: model with styles.

    Returns:
        `(key, state, n, **conditions) -> images`; for the same model always the same function.

    Example:
        >>> import numpy as np
        >>> from jaxgen.models import stylegan2
        >>> images = {"image": np.zeros((4, 8, 8, 1), np.uint8)}
        >>> model = stylegan2.build(stylegan2.Config(base=32, latent_dim=4, style_dim=4), images)
        >>> state = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> sample = every_layer_sampler(model)
        >>> jax.eval_shape(lambda state: sample(jax.random.key(1), state, 3, truncation=0.5), state).shape
        (3, 8, 8, 1)
    """
    assert model.styles is not None
    assert model.decode is not None
    assert model.sample_latent is not None
    return _every_layer_sampler(model.decode, model.sample_latent, model.styles.layers)


@cache
def _every_layer_sampler(
    decode: Callable[..., Array], sample_latent: Callable[..., Array], layers: int
) -> Callable[..., Array]:
    def sample(key: KeyArray, state: State, n: int, **conditions: Any) -> Array:
        return decode(state, sample_latent(key, n * layers).reshape(n, layers, -1), **conditions)

    return sample


def style_functions(
    generator: Generator,
    classes: int,
    draw: Callable[[State, Params, Array], Array],
    modulations: Callable[[Params], list[Array]],
) -> Styles:
    """Return the two halves of a generator as functions of the state.

    Args:
        generator: the generator.
        classes: number of classes; 0 without a condition.
        draw: `(state, variables, w) -> images`, images in [0, 1] of the styles of layers, [n, styles, style], with the
            noise images among the variables of the generator.
        modulations: function of the parameters of the synthesis network that returns what `Styles.modulations` does.

    Returns:
        The functions, by the averaged generator.
    """

    def of_latents(state: State, latent: Array, *, label: Labels | None = None) -> Array:
        labels = each_label(label, len(latent), classes) if classes else None
        w: Array = apply_untyped(generator, averaged_variables(state), latent, labels, train=False, method="map")
        return w

    def synthesize(state: State, w: Array, noise: PyTree) -> Array:
        return draw(state, {**averaged_variables(state), "noise": noise}, w)

    return Styles(
        layers=generator.synthesis.styles,
        map=of_latents,
        synthesize=synthesize,
        noise=lambda state: averaged_variables(state)["noise"],
        average=lambda state: averaged_variables(state)["latent_average"]["mapping"]["w"],
        modulations=lambda state: modulations(averaged_variables(state)["params"]["synthesis"]),
    )


def averaged_variables(state: State) -> Params:
    """Return the Flax variables of the averaged generator."""
    averaged = with_averages(state)
    return generator_variables(averaged.params, averaged.stats)


def generator_variables(params: Params, stats: Stats) -> Params:
    """Return the Flax variables of the generator."""
    return {"params": params["generator"], **stats["generator"]}
