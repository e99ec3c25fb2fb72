"""Training: everything around the game that knows no model: loop, seeds, devices, checkpoints, logs."""

from jaxgen.training.evaluation import evaluate
from jaxgen.training.loop import Chunk, Divergence, Fit, fit
from jaxgen.training.seeds import seed_keys

__all__ = ["Chunk", "Divergence", "Fit", "evaluate", "fit", "seed_keys"]
