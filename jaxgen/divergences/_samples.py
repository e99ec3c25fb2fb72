"""What divergences between two sets of examples ask of them."""

import jax.numpy as jnp

from jaxgen._arrays import check_batch
from jaxgen.typing import Array, Shaped


def check_samples(*, smallest: int = 1, **samples: Shaped[Array, " n *event"]) -> None:
    """Raise a ValueError with the names and shapes unless all hold events of one shape, and enough of them."""
    check_batch(**samples)
    listed = " and ".join(f"{name} {jnp.shape(sample)}" for name, sample in samples.items())
    if len({jnp.shape(sample)[1:] for sample in samples.values()}) > 1:
        raise ValueError(f"events must have one shape, got {listed}")
    if min(jnp.shape(sample)[0] for sample in samples.values()) < smallest:
        raise ValueError(f"there must be at least {smallest} of each, got {listed}")
