"""Data parallelism: the batch is spread over the devices, everything else is on each of them.

The step is written for the whole batch; the compiler splits the work by the sharding of its arguments and adds the
sums over devices that gradients and batch statistics need. The result is that of one device, up to rounding.
"""

from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgen.errors import InputError
from jaxgen.typing import Batch, PyTree

AXIS = "batch"


def data_parallel_mesh(batch_size: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Line the devices up along the batch.

    Args:
        batch_size: examples that are spread over them.
        devices: which ones; all local devices where nothing is given.

    Returns:
        A mesh with one axis.

    Raises:
        InputError: if the examples cannot be spread evenly.

    Example:
        >>> dict(data_parallel_mesh(64, jax.local_devices()[:1]).shape)
        {'batch': 1}
    """
    devices = jax.local_devices() if devices is None else devices
    if batch_size % len(devices):
        raise InputError(
            f"a batch of {batch_size} examples does not spread evenly over {len(devices)} devices: "
            f"give a multiple of {len(devices)}"
        )
    # Automatic axes: the compiler chooses how intermediate results are laid out.
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Put a copy of every array on every device of the mesh.

    Example:
        >>> import numpy as np
        >>> replicate({"a": np.zeros(3)}, data_parallel_mesh(1, jax.local_devices()[:1]))["a"].is_fully_replicated
        True
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def spread(batch: Batch, mesh: Mesh) -> Batch:
    """Spread the leading axis of every array over the devices of the mesh, inside a compiled function.

    Example:
        >>> import numpy as np
        >>> mesh = data_parallel_mesh(4, jax.local_devices()[:1])
        >>> jax.jit(lambda batch: spread(batch, mesh))({"label": np.arange(4)})["label"].shape
        (4,)
    """
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(AXIS)))
