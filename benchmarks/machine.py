"""The machine on which a benchmark runs."""

import os
import platform
from pathlib import Path
from typing import Any

import jax
import torch


def describe() -> dict[str, Any]:
    """Return the machine and the versions: `text` to print, `report` for the JSON file."""
    cores = available_cores()
    devices = [f"{processor()}, {cores} core" + "s" * (cores != 1)]
    if jax.default_backend() != "cpu":
        devices.insert(0, jax.devices()[0].device_kind)
    lines = [
        ", ".join(devices),
        f"jax {jax.__version__}, PyTorch {torch.__version__}, load before start {os.getloadavg()[0]:.1f}",
    ]
    if torch_device() is None:
        lines.append(f"PyTorch cannot use {devices[0]}: only jaxgen is timed")
    versions = {"jax": jax.__version__, "torch": str(torch.__version__)}
    return {
        "text": "\n".join(lines),
        "report": {"device": ", ".join(devices), "backend": jax.default_backend(), "threads": cores, **versions},
    }


def torch_device() -> torch.device | None:
    """Return PyTorch's device of the same kind as that of JAX; None if PyTorch cannot use it."""
    if jax.default_backend() == "cpu":
        return torch.device("cpu")
    return torch.device("cuda") if jax.default_backend() == "gpu" and torch.cuda.is_available() else None


def use_all_cores() -> None:
    """Configure PyTorch like XLA: one thread per core, denormal numbers flushed to zero on the CPU, TF32 on a GPU."""
    torch.set_num_threads(available_cores())
    # Before the first operation: existing threads would keep computing with denormal numbers, which is slow.
    torch.set_flush_denormal(True)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor according to the operating system."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
