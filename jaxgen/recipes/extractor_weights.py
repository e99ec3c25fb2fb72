"""The recipes that trained the small classifiers of the package (`jaxgen.metrics.extractors.packaged`).

Each trains the family `classifier` as `jaxgen train` does and writes the weights as `NAME.safetensors`. Weights of
another machine, or of another version of XLA, differ in their last bits and then in more: the files in the package are
those with the hashes in `PACKAGED`, and a repetition shows that their accuracy is what the recipe gives.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict
from safetensors.numpy import save as save_tensors

from jaxgen import plot
from jaxgen.atomic_write import write_atomic
from jaxgen.metrics.extractors.packaged import CLASSES, PACKAGED, WIDTH
from jaxgen.models import classifier
from jaxgen.recipes.recipe import MetricResult, Outcome, Published, Recipe, Request
from jaxgen.recipes.recipe_runs import complete_run, with_steps
from jaxgen.runs import Run, RunConfig, load_run

QUICK_STEPS = 20
"""Training steps in a quick run."""


@dataclass(frozen=True)
class ExtractorTraining:
    """A recipe that trains the classifier of an extractor and writes its weights.

    Attributes:
        name: name of the extractor.
        config: config of the run.
    """

    name: str
    config: RunConfig[classifier.Config]

    def __call__(self, request: Request) -> Outcome:
        """Train the classifier, and write its weights into the folder of the request."""
        config = dataclasses.replace(self.config, data_dir=request.data_dir)
        if request.quick:
            config = with_steps(config, QUICK_STEPS)
        folder = request.folder / self.name
        test = complete_run(folder, "classifier", config, request.notify)
        run = load_run(folder)
        write_atomic(request.folder / f"{self.name}.safetensors", save_tensors(weights(run)))
        accuracy = Published(PACKAGED[self.name].accuracy)
        rows = {self.name: {"accuracy": MetricResult((test["accuracy"],), accuracy)}}
        return Outcome(rows, figures={"confusion": _confusion(run)})


def weights(run: Run) -> dict[str, np.ndarray]:
    """Return the variables of the network of a classifier by their paths.

    Args:
        run: run of the family `classifier`, of a single seed.

    Returns:
        Arrays named as `params/Dense_0/kernel`.
    """
    variables = {"params": run.state.params["classifier"], **run.state.stats["classifier"]}
    return {name: np.asarray(array)[0] for name, array in flatten_dict(variables, sep="/").items()}


def _confusion(run: Run) -> plot.Drawing:
    test: Any = run.config.source.load("test")
    predicted = np.asarray(run.predict(test)).argmax(axis=-1)
    counts = np.zeros((CLASSES, CLASSES), int)
    np.add.at(counts, (np.asarray(test["label"]), predicted), 1)
    return plot.confusion_matrix(counts, class_names=run.class_names)


def _training(name: str, *, steps: int, shift: int, flip: bool = False) -> ExtractorTraining:
    """Return the training of an extractor: Adam with a learning rate that decays along a cosine."""
    model = classifier.Config(
        architecture="resnet",
        width=WIDTH,
        max_shift=shift,
        learning_rate=3e-3,
        schedule="cosine",
        decay_steps=steps,
    )
    every = math.ceil(steps / 10)
    config = RunConfig(
        model, data=PACKAGED[name].data, steps=steps, flip=flip, checkpoint_every=every, image_every=every
    )
    return ExtractorTraining(name, config)


def _recipe(training: ExtractorTraining, duration: str) -> Recipe:
    config = training.config
    changes = f"shifted at random by up to {config.model_config.max_shift} pixels"
    if config.flip:
        changes += " and flipped with probability 1/2"
    return Recipe(
        description=f"the classifier of {config.data} whose features compare samples: the extractor {training.name}",
        reference="network: He et al. 2016, arXiv:1512.03385, section 4.2; weights: this package",
        duration=f"{duration}; --quick: 1 minute",
        run=training,
        protocol=(
            f"Residual network with three stages of one block, {WIDTH} channels in the first; {config.steps:,} steps "
            f"of 128 images, each {changes}; Adam with a learning rate of 0.003 that decays to 0 along a cosine. "
            f"'Published' is the accuracy of the weights in the package on the test split of {config.data}."
        ),
    )


EXTRACTOR_RECIPES = {
    "extractor-digits": _recipe(_training("digits_v1", steps=2000, shift=1), "2 minutes on two cores of an EPYC"),
    "extractor-mnist": _recipe(_training("mnist_v1", steps=2500, shift=2), "15 minutes on two cores of an EPYC"),
    "extractor-fashion-mnist": _recipe(
        _training("fashion_mnist_v1", steps=8000, shift=2, flip=True), "75 minutes on one core of an EPYC"
    ),
}
"""Recipe name -> recipe."""
