"""Data parallelism: the batch is sharded over the devices, everything else is replicated on each of them.

The step is written for the complete batch; the compiler divides the computation by the sharding of its arguments and
adds the sums over devices that gradients and batch statistics need. The result is that of one device within rounding.
"""

from collections.abc import Sequence

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxgen.errors import InputError
from jaxgen.typing import Batch, PyTree

AXIS = "batch"


def data_parallel_mesh(batch_size: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a mesh of devices along one axis, over which batches are sharded.

    Args:
        batch_size: number of examples that are divided among the devices.
        devices: devices of the mesh; all local ones where it is None.

    Returns:
        A mesh with the axis `batch`.

    Raises:
        InputError: if the number of examples is not a multiple of the number of devices.

    Example:
        >>> dict(data_parallel_mesh(64, jax.local_devices()[:1]).shape)
        {'batch': 1}
    """
    devices = jax.local_devices() if devices is None else devices
    if batch_size % len(devices):
        raise InputError(f"batch_size must be a multiple of {len(devices)}, the number of devices, got {batch_size}")
    # Automatic axes: the compiler chooses the layout of intermediate results.
    return jax.make_mesh((len(devices),), (AXIS,), axis_types=(AxisType.Auto,), devices=devices)


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Copy every array to every device of the mesh.

    Args:
        tree: pytree of arrays.
        mesh: mesh of the devices.

    Returns:
        The same pytree, each device with all of it.

    Example:
        >>> import numpy as np
        >>> replicate({"a": np.zeros(3)}, data_parallel_mesh(1, jax.local_devices()[:1]))["a"].is_fully_replicated
        True
    """
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def spread(batch: Batch, mesh: Mesh) -> Batch:
    """Shard the leading axis of every array over the devices of the mesh, inside a compiled function.

    Args:
        batch: arrays with the examples along the leading axis.
        mesh: mesh of the devices.

    Returns:
        The same batch, each device with an equal share of consecutive examples.

    Example:
        >>> import numpy as np
        >>> mesh = data_parallel_mesh(4, jax.local_devices()[:1])
        >>> jax.jit(lambda batch: spread(batch, mesh))({"label": np.arange(4)})["label"].shape
        (4,)
    """
    return jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, PartitionSpec(AXIS)))
