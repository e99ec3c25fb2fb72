"""A run: the folder that holds everything needed to train a model, to resume the training, and to use the model.

config.json        its config, with the versions of the libraries
metrics.jsonl      the metrics of every chunk of steps
tensorboard/       the same as events
checkpoints/       the newest states
samples/           image grids drawn during training: samples, reconstructions, two-dimensional latents
summary.json       the result
measured.jsonl     further metrics, which were measured after the training
"""

from jaxgen.runs.config import RunConfig
from jaxgen.runs.config_json import RunDescription, read_config, write_config
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.loading import Run, load_run
from jaxgen.runs.training import train

__all__ = ["Run", "RunConfig", "RunDescription", "evaluate_run", "load_run", "read_config", "train", "write_config"]
