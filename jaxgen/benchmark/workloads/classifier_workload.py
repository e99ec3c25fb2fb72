"""A residual network that classifies images, trained as published (He et al. 2016, arXiv:1512.03385, section 4.2)."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Shape, Workload
from jaxgen.game import State
from jaxgen.models.classifier import Config, build

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin

SHAPE = (32, 32, 3)
CLASSES = 10


def classifier(*, width: int = 16, batch_size: int = 128) -> Workload:
    """Return the workload with ResNet-8, the smallest network of the family."""
    config = Config(
        architecture="resnet",
        width=width,
        blocks=1,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=1e-4,
    )

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_classifier import classifier

        return classifier(config, state.params, compiled=compiled)

    return Workload(
        name="ResNet",
        build=partial(build, config),
        data=labelled_noise,
        batch_size=batch_size,
        twin=twin,
        scaled=classifier,
        convolutional=True,
        steps=16,
    )


def labelled_noise(shape: Shape = SHAPE) -> dict[str, np.ndarray]:
    """Return images of noise with random labels, every class among them."""
    images = noise_images(shape)
    labels = np.random.default_rng(1).integers(0, CLASSES, len(images["image"]), dtype=np.int32)
    return images | {"label": labels}
