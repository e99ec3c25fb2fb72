"""Training: everything around the game that knows no model: compiler, loop, seeds, devices, checkpoints, logs."""

from jaxgen.training.compiler import jit
from jaxgen.training.evaluation import evaluate
from jaxgen.training.loop import Chunk, Divergence, Fit, check_batch_size, fit
from jaxgen.training.seeds import seed_keys

__all__ = ["Chunk", "Divergence", "Fit", "check_batch_size", "evaluate", "fit", "jit", "seed_keys"]
