"""A run: the folder that holds everything needed to train a model, to go on training it, and to use it.

config.json        what was asked for, with the versions of the libraries
metrics.jsonl      the metrics of every chunk of turns
tensorboard/       the same as events
checkpoints/       the newest few states
samples/           pictures drawn on the way: of samples, of reconstructions, of codes in the plane
summary.json       how it ended
"""

from jaxgen.runs.config import RunConfig, read_config, write_config
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.loading import Run, load_run
from jaxgen.runs.training import train

__all__ = ["Run", "Settings", "evaluate_run", "load_run", "read_config", "train", "write_config"]
