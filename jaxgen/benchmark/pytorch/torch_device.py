"""The device and the cores that PyTorch uses in a benchmark: the same as JAX."""

import jax
import torch

from jaxgen.benchmark.machine import available_cores


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
