"""A residual network that classifies images, trained as published (He et al. 2016, arXiv:1512.03385, section 4.2)."""

from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from jaxgen.models.classifier import Config, build
from jaxgen.typing import Params
from workloads.images import channels_first, noise_images
from workloads.networks import residual_network
from workloads.twin import Alternating, Batch, TorchPlayer, Twin
from workloads.workload import Data, Workload

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

    def twin(params: Params, *, compiled: bool) -> Twin:
        network = residual_network(params["classifier"])

        def loss(x: Tensor, label: Tensor) -> Tensor:
            return cross_entropy(network(x), label)

        sgd = torch.optim.SGD(
            network.parameters(),
            lr=config.learning_rate,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        return Alternating([TorchPlayer("classifier", loss, network, sgd)], compiled=compiled)

    return Workload(
        name="ResNet",
        build=partial(build, config),
        data=labelled_images,
        tensors=labelled_tensors,
        batch_size=batch_size,
        twin=twin,
        scaled=classifier,
        convolutional=True,
        steps=16,
    )


def labelled_images() -> dict[str, np.ndarray]:
    """Return images of noise with random labels, every class among them."""
    images = noise_images(SHAPE)
    labels = np.random.default_rng(1).integers(0, CLASSES, len(images["image"]), dtype=np.int32)
    return images | {"label": labels}


def labelled_tensors(data: Data) -> Batch:
    """Return the images with values in [-1, 1], as the family hands them to its network, and the labels."""
    return *channels_first(data, signed=True), torch.tensor(data["label"], dtype=torch.long)
