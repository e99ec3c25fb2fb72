"""Checks of the arguments of a model's functions: one sentence in place of an error from inside JAX.

They run when a function is called or traced, and look at Python values, shapes and dtypes; at the values of arrays only
as far as these are known, so a compiled program contains nothing of them.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import flax.errors
import jax.numpy as jnp
import numpy as np

from jaxgen._arrays import check_integers, check_key, check_number, is_known
from jaxgen.batch_checks import check_like
from jaxgen.errors import InputError, shortened
from jaxgen.game import Model, State
from jaxgen.models.labels import check_labels
from jaxgen.models.preprocessing import is_image
from jaxgen.typing import Array, Batch, KeyArray, Metrics

FAR = 30
"""Distance of points from the origin, in their standard deviations, of which a training warns."""


def checked(
    model: Model,
    example: Batch,
    *,
    latent_dim: int | None = None,
    classes: int | None = None,
    conditions: Sequence[str] | None = None,
) -> Model:
    """Return a model whose functions refuse arguments that do not fit it.

    Args:
        model: model of a family.
        example: batch that shows the shape of the data.
        latent_dim: dimension of the latents; None for a model without them.
        classes: number of classes; None for a model that has no use for labels.
        conditions: names of the keyword arguments of `sample` and `decode`; by default those of the model.

    Returns:
        The model with the same functions after checks, and with `check`.

    Example:
        >>> import jax
        >>> from jaxgen.models import vae
        >>> images = {"image": np.zeros((1, 8, 8, 1), np.uint8)}
        >>> model = vae.build(vae.Config(hidden=(4,)), images)
        >>> model.sample(0, model.init(jax.random.key(0), images), 3)
        Traceback (most recent call last):
        jaxgen.errors.InputError: key must be a typed PRNG key, such as jax.random.key(0), got int 0
    """
    name = "image" if is_image(example) else "point"
    shown = {name: np.zeros((0, *np.shape(example[name])[1:]))}  # Without the data, which are not to be kept.

    def check(batch: Batch) -> None:
        check_like(shown, batch)
        if classes is not None and "label" in batch:
            check_labels(batch["label"], classes)

    def check_data_set(data: Batch) -> None:
        check(data)
        if "point" in shown:
            _warn_of_far_points(data["point"])

    def check_conditions(given: Mapping[str, Any]) -> None:
        known = model.conditions if conditions is None else conditions
        if unknown := sorted(set(given) - set(known)):
            raise InputError(f"this model cannot be conditioned on {', '.join(unknown)}")

    def check_latent_options(given: Mapping[str, Any]) -> dict[str, Any]:
        """Check the truncation, and return the options that are not those of latents."""
        if "truncation" in given:
            check_truncation(model, given["truncation"])
        return {name: value for name, value in given.items() if name not in model.latent_options}

    def init(key: KeyArray, batch: Batch) -> State:
        check_key(key)
        check(batch)
        return model.init(key, batch)

    def step(key: KeyArray, state: State, batch: Batch) -> tuple[State, Metrics]:
        check_call(key, state)
        check(batch)
        with _of_this_model():
            return model.step(key, state, batch)

    def with_key_and_batch(function: Callable[..., Any] | None) -> Any:
        def call(key: KeyArray, state: State, batch: Batch) -> Any:
            check_call(key, state)
            check(batch)
            with _of_this_model():
                return function(key, state, batch)  # type: ignore[misc]

        return call if function else None

    def with_batch(function: Callable[..., Array] | None) -> Any:
        def call(state: State, batch: Batch) -> Array:
            _check_state(state)
            check(batch)
            with _of_this_model():
                return function(state, batch)  # type: ignore[misc]

        return call if function else None

    def sample(key: KeyArray, state: State, n: int, **given: Any) -> Array:
        assert model.sample is not None
        check_call(key, state)
        _check_count(n)
        check_conditions(check_latent_options(given))
        with _of_this_model():
            return model.sample(key, state, n, **given)

    def sample_latent(key: KeyArray, n: int, **given: Any) -> Array:
        assert model.sample_latent is not None
        check_key(key)
        _check_count(n)
        if unknown := sorted(check_latent_options(given)):
            raise InputError(f"the latents of this model have no option {', '.join(unknown)}")
        return model.sample_latent(key, n, **given)

    def decode(state: State, latent: Array, **given: Any) -> Array:
        assert model.decode is not None
        _check_state(state)
        check_conditions(given)
        check_latent_options(given)
        _check_latent(latent, latent_dim, None if model.styles is None else model.styles.layers)
        with _of_this_model():
            return model.decode(state, latent, **given)

    return model._replace(
        init=init,
        step=step,
        sample=sample if model.sample else None,
        encode=with_batch(model.encode),
        decode=decode if model.decode else None,
        reconstruct=with_batch(model.reconstruct),
        predict=with_batch(model.predict),
        evaluate=with_key_and_batch(model.evaluate),
        sample_latent=sample_latent if model.sample_latent else None,
        sample_posterior=with_key_and_batch(model.sample_posterior),
        latent_densities=with_key_and_batch(model.latent_densities),
        check=check_data_set,
    )


def check_truncation(model: Model, truncation: Any) -> None:
    """Check the truncation of a model's latents.

    Args:
        model: model whose latents are drawn.
        truncation: bound of their coordinates; of a model with styles the share of the deviation from their average
            that is kept.

    Raises:
        InputError: if the model has no truncation, or the bound is not a finite number above 0, or the share not a
            number from 0 to 1.

    Example:
        >>> from jaxgen.models import vae
        >>> check_truncation(vae.build(vae.Config(hidden=(4,)), {"image": np.zeros((1, 8, 8, 1))}), 0.5)
        Traceback (most recent call last):
        jaxgen.errors.InputError: truncation must be left out: this model has none, which GANs with normal latents have
    """
    if "truncation" in model.conditions:
        if is_known(truncation):
            values = np.asarray(truncation)
            if values.dtype.kind not in "fiu" or not ((values >= 0) & (values <= 1)).all():
                message = "truncation must be from 0 (the average style) to 1 (all styles)"
                raise InputError(f"{message}, got {shortened(truncation)}")
        return
    if "truncation" not in model.latent_options:
        raise InputError("truncation must be left out: this model has none, which GANs with normal latents have")
    check_number("truncation", truncation, above=0, finite=True)


def check_call(key: Any, state: Any) -> None:
    """Check the key and the state that a function is called with.

    Args:
        key: a typed PRNG key.
        state: a state of the game.

    Raises:
        InputError: if an argument is of another type.

    Example:
        >>> import jax
        >>> check_call(jax.random.key(0), None)
        Traceback (most recent call last):
        jaxgen.errors.InputError: state must be a jaxgen State, as of model.init or fit, got NoneType
    """
    check_key(key)
    _check_state(state)


def _check_state(state: Any) -> None:
    if not isinstance(state, State):
        raise InputError(f"state must be a jaxgen State, as of model.init or fit, got {type(state).__name__}")


def _warn_of_far_points(points: Any) -> None:
    """Warn if the networks' inputs would be nearly constant: they depend little on what differs between the points."""
    if not is_known(points) or len(points) < 2:
        return
    mean, deviation = (np.asarray(moment(np.asarray(points, np.float64), axis=0)) for moment in (np.mean, np.std))
    deviation = np.where(deviation == 0, deviation.max(), deviation)  # A constant column may be of any value.
    far = np.abs(mean) > FAR * deviation
    if deviation.max() > 0 and far.any():
        column = int(np.argmax(far))
        warnings.warn(
            f"column {column} of 'point' has the mean {mean[column]:.6g} and the standard deviation "
            f"{deviation[column]:.3g}: points so far from the origin are learned slowly or not at all; standardize the "
            "model, as runs do: jaxgen.models.standardization.standardized(model, standardization_of(points))",
            stacklevel=6,  # Where `fit` is called.
        )


def _check_latent(latent: Any, latent_dim: int | None, layers: int | None) -> None:
    """Refuse latents of another shape than one for each example, or, with styles, one for each layer of it."""
    shapes = [f"[n, {latent_dim}]"] if layers is None else [f"[n, {latent_dim}]", f"[n, {layers}, {latent_dim}]"]
    if not hasattr(latent, "dtype"):
        got = type(latent).__name__
    elif np.ndim(latent) == 0 or np.shape(latent)[1:] not in ((latent_dim,), (layers, latent_dim)):
        got = f"shape {np.shape(latent)}"
    elif not jnp.issubdtype(latent.dtype, jnp.number):
        got = str(latent.dtype)
    else:
        return
    raise InputError(f"latent must be an array of numbers of the shape {' or '.join(shapes)}, got {got}")


@contextmanager
def _of_this_model() -> Iterator[None]:
    """Replace the error of Flax for parameters of other shapes."""
    try:
        yield
    except flax.errors.ScopeParamShapeError as error:
        raise InputError(
            "state must be that of one seed of this model: of several, take one by "
            f"jaxgen.training.seeds.extract_seed(state, 0) ({' '.join(str(error).split()).partition(' (https')[0]})"
        ) from error


def _check_count(n: Any) -> None:
    check_integers(n=n)
    if n < 1:
        raise InputError(f"n, the number of samples, must be at least 1, got {n}")
