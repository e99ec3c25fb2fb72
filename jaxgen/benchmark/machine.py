"""The machine on which a benchmark runs."""

import os
import platform
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxgen import __version__


def describe() -> dict[str, Any]:
    """Return the machine and the versions of jaxgen and JAX, for the report of a benchmark."""
    return {
        "jaxgen": __version__,
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "device_kind": jax.devices()[0].device_kind,
        "processor": processor(),
        "cores": available_cores(),
        "load_before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def device_line(machine: dict[str, Any]) -> str:
    """Return the devices of a machine in one line."""
    cores = machine["cores"]
    devices = [f"{machine['processor']}, {cores} core" + "s" * (cores != 1)]
    if machine["backend"] != "cpu":
        devices.insert(0, machine["device_kind"])
    return ", ".join(devices)


def machine_text(machine: dict[str, Any]) -> str:
    """Return the devices, versions and load of a machine in two lines."""
    versions = [f"{name} {machine[key]}" for key, name in VERSIONS.items() if machine.get(key)]
    load = machine["load_before"]
    return f"{device_line(machine)}\n" + ", ".join(
        [*versions, *([] if load is None else [f"load before start {load:.1f}"])]
    )


VERSIONS = {"jaxgen": "jaxgen", "jax": "jax", "torch": "PyTorch"}


class PyTorch(NamedTuple):
    """Whether PyTorch is timed.

    Attributes:
        version: its version; None if it cannot be imported.
        problem: why it is not timed; None if it is.
    """

    version: str | None
    problem: str | None = None


def find_pytorch() -> PyTorch:
    """Import PyTorch if it is installed, and configure it to use the same device and cores as JAX."""
    try:
        import torch

        from jaxgen.benchmark.pytorch.torch_device import torch_device, use_all_cores
    except (ImportError, OSError) as error:  # An OSError where one of its shared libraries is missing.
        return PyTorch(None, f"PyTorch cannot be imported ({error})")
    version = str(torch.__version__)
    if torch_device() is None:
        return PyTorch(version, f"PyTorch cannot use {jax.devices()[0].device_kind}")
    use_all_cores()
    return PyTorch(version)


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor according to the operating system."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
