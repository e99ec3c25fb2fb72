"""Division of training data into those that are trained on and those that choose among the states of a training."""

import numpy as np

from jaxgen.data.description import count_examples
from jaxgen.data.holdout import choose_held_out
from jaxgen.data.streaming import Stream, digest_rows
from jaxgen.errors import InputError
from jaxgen.typing import Batch


def split_validation(data: Batch | Stream, fraction: float) -> tuple[Batch | Stream, Batch | Stream]:
    """Return the training and the validation examples of a training split.

    The validation examples are chosen within each class by the SHA-256 of their content, as those of the test split of
    images without one, so that the choice depends on neither the order of the data nor a seed.

    Args:
        data: arrays with the examples along the leading axis, or a stream.
        fraction: share of the examples of each class that are validation examples, above 0 and below 1.

    Returns:
        The training examples and the validation examples, in their order.

    Raises:
        InputError: if the fraction is impossible, or no example is left on one side.

    Example:
        >>> train, validation = split_validation({"point": np.arange(20.0).reshape(10, 2)}, 0.2)
        >>> len(train["point"]), len(validation["point"])
        (8, 2)
    """
    if not 0 < fraction < 1:
        raise InputError(f"validation_fraction must be above 0 and below 1, got {fraction}")
    if isinstance(data, Stream):
        held_out = choose_held_out(*data.digests(), fraction)
    else:
        content = np.asarray(data["image"] if "image" in data else data["point"])
        held_out = choose_held_out(digest_rows(content), data.get("label"), fraction)
    if not held_out.any() or held_out.all():
        raise InputError(
            f"validation_fraction must leave at least one example for the training and for the validation, got "
            f"{fraction} of {count_examples(data) if not isinstance(data, Stream) else data.examples} examples"
        )
    parts = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    if isinstance(data, Stream):
        return data.select(parts[0].tolist()), data.select(parts[1].tolist())
    train, validation = ({name: np.asarray(array)[part] for name, array in data.items()} for part in parts)
    return train, validation
