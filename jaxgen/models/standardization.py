"""Models of points in any unit: the networks see columns of mean 0 and standard deviation 1."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgen.batch_checks import check_data, check_like
from jaxgen.errors import InputError, shortened
from jaxgen.game import Model
from jaxgen.typing import AnyArray, Array, Batch, Float


class Standardization(NamedTuple):
    """An affine map of points, `(x - mean) / scale` in each column.

    Attributes:
        mean: mean of each column, in the unit of the data.
        scale: standard deviation of each column, in the unit of the data; 1 for a constant column.
    """

    mean: tuple[float, ...]
    scale: tuple[float, ...]


def standardization_of(points: Float[AnyArray, "n dim"]) -> Standardization:
    """Return the map that gives each column the mean 0 and the standard deviation 1.

    Args:
        points: points, [n, dim].

    Returns:
        Means and standard deviations, computed in float64 and rounded to float32.

    Raises:
        InputError: if `check_data` refuses the points.

    Example:
        >>> standardization_of(np.array([[1000.0, 5.0], [1002.0, 5.0]]))
        Standardization(mean=(1001.0, 5.0), scale=(1.0, 1.0))
    """
    check_data({"point": points})
    wide = np.asarray(points, np.float64)
    mean, scale = (np.asarray(values, np.float32) for values in (wide.mean(axis=0), wide.std(axis=0)))
    return Standardization(tuple(mean.tolist()), tuple(np.where(scale == 0, 1, scale).tolist()))


def standardized(model: Model, by: Standardization) -> Model:
    """Return a model that takes and returns points in the unit of the data and is trained on standardized points.

    The output of a layer whose inputs are far from the origin depends little on their differences, so the gradients of
    a discriminator vanish; standardized points are near the origin and of one scale.

    Args:
        model: model of points.
        by: map to standardized points.

    Returns:
        The model with the same networks, losses and state. Samples and reconstructions are in the unit of the data;
        losses and the metrics of examples are those of standardized points.

    Example:
        >>> import jax
        >>> from jaxgen.models import gan
        >>> points = {"point": np.array([[1000.0], [1002.0]], np.float32)}
        >>> model = gan.build(gan.Config(hidden=(4,)), points)
        >>> in_units = standardized(model, standardization_of(points["point"]))
        >>> state, key = model.init(jax.random.key(0), points), jax.random.key(1)
        >>> bool(jnp.allclose(in_units.sample(key, state, 5), 1001 + model.sample(key, state, 5)))
        True
    """
    mean, scale = np.asarray(by.mean, np.float32), np.asarray(by.scale, np.float32)

    def inputs(batch: Batch) -> dict[str, Any]:
        check_like({"point": mean[np.newaxis]}, batch)
        return {**batch, "point": (jnp.asarray(batch["point"]) - mean) / scale}

    def of_batch(function: Any, position: int) -> Any:
        """The function with standardized points in the batch, which is its argument number `position`."""
        if function is None:
            return None

        def call(*arguments: Any) -> Any:
            return function(*arguments[:position], inputs(arguments[position]), *arguments[position + 1 :])

        return call

    def in_units(function: Any) -> Any:
        """The function with its result in the unit of the data."""
        if function is None:
            return None

        def call(*arguments: Any, **conditions: Any) -> Array:
            return function(*arguments, **conditions) * scale + mean

        return call

    phases = tuple(phase._replace(preprocess=_after(inputs, phase.preprocess)) for phase in model.phases)
    return model._replace(
        step=of_batch(model.step, 2),
        sample=in_units(model.sample),
        encode=of_batch(model.encode, 1),
        decode=in_units(model.decode),
        reconstruct=in_units(of_batch(model.reconstruct, 1)),
        predict=of_batch(model.predict, 1),
        evaluate=of_batch(model.evaluate, 2),
        sample_posterior=of_batch(model.sample_posterior, 2),
        latent_densities=of_batch(model.latent_densities, 2),
        phases=phases,
        check=of_batch(model.check, 0),
    )


def describe(by: Standardization | None) -> dict[str, list[float]] | None:
    """Convert a standardization to values that JSON can represent.

    Example:
        >>> describe(Standardization((1.0,), (2.0,))), describe(None)
        ({'mean': [1.0], 'scale': [2.0]}, None)
    """
    return None if by is None else {name: list(values) for name, values in by._asdict().items()}


def standardization_from(description: Any, columns: int) -> Standardization | None:
    """Convert the result of `describe` back.

    Args:
        description: result of `describe`, also after a round trip through a JSON file.
        columns: number of columns of the points.

    Returns:
        The standardization, or None.

    Raises:
        InputError: if the description is not valid, e.g. because the JSON file was edited.

    Example:
        >>> standardization_from({"mean": [1.0], "scale": [2.0]}, 1)
        Standardization(mean=(1.0,), scale=(2.0,))
    """
    if description is None:
        return None
    values: Any = [description.get(name) for name in ("mean", "scale")] if isinstance(description, Mapping) else []
    if not values or not all(_are_numbers(column, columns) for column in values) or min(values[1]) <= 0:
        raise InputError(
            f"the standardization of points must have a mean and a positive scale for each of {columns} columns, got "
            f"{shortened(description)}"
        )
    return Standardization(*(tuple(map(float, column)) for column in values))


def _are_numbers(values: Any, count: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(type(value) in (int, float) and abs(value) <= float(np.finfo(np.float32).max) for value in values)
    )


def _after(first: Any, second: Any) -> Any:
    return lambda batch: second(first(batch))
