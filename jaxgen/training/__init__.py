"""Training: everything around the game that does not depend on the model: loop, seeds, phases, devices, checkpoints."""

from jaxgen.training.augmented_model import augmented
from jaxgen.training.chunk import Callback, Chunk, Divergence, Unfinished
from jaxgen.training.compiler import jit
from jaxgen.training.loop import Fit, Interrupted, check_batch_size, fit
from jaxgen.training.mean_metrics import evaluate
from jaxgen.training.seeds import seed_keys, summarize
from jaxgen.training.sweep import fit_sweep

__all__ = [
    "Callback",
    "Chunk",
    "Divergence",
    "Fit",
    "Interrupted",
    "Unfinished",
    "augmented",
    "check_batch_size",
    "evaluate",
    "fit",
    "fit_sweep",
    "jit",
    "seed_keys",
    "summarize",
]
