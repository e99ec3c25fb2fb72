"""Operations of a training step as PyTorch counts them."""

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class Counter(TorchDispatchMode):
    """Counter of operations like PyTorch's `FlopCounterMode`, which fails where gradients of gradients are computed."""

    def __init__(self):
        super().__init__()
        self.flop = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        """Execute an operation and add its cost to the count."""
        result = operation(*args, **(kwargs or {}))
        if count := flop_registry.get(operation.overloadpacket):
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        return result
