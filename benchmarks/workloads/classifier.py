"""A residual network that classifies pictures, trained as published (He et al. 2016, arXiv:1512.03385, section 4.2)."""

from functools import partial

import numpy as np
import optax
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from jaxgen.game import Model, Player, State, game
from jaxgen.models.preprocessing import preprocess
from jaxgen.nn.resnet import ResNet
from jaxgen.typing import Array, Batch, KeyArray, Metrics, Params, Stats
from workloads.images import channels_first, noise_images
from workloads.networks import residual_network
from workloads.twin import Alternating, TorchPlayer, Twin
from workloads.workload import Data, Workload

SHAPE = (32, 32, 3)
CLASSES = 10
BLOCKS = 1
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 1e-4


def classifier(*, width: int = 16, batch_size: int = 128) -> Workload:
    """ResNet-8, the smallest of the family."""
    return Workload(
        name="ResNet",
        build=partial(build, ResNet(BLOCKS, CLASSES, width)),
        data=labelled_images,
        tensors=lambda data: (*channels_first(data), torch.tensor(data["label"], dtype=torch.long)),
        batch_size=batch_size,
        twin=twin,
        scaled=classifier,
        convolutional=True,
        turns=16,
    )


def build(network: ResNet, example: Data) -> Model:
    """The jaxgen side: a game with one player, who minimizes the cross-entropy."""

    def init_networks(key: KeyArray, batch: Batch) -> dict[str, Params]:
        return {"classifier": network.init(key, preprocess(batch))}

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, tuple[Stats, Metrics]]:
        variables = {"params": params["classifier"], **state.stats["classifier"]}
        logits, stats = network.apply(variables, preprocess(batch), mutable=["batch_stats"])
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return entropy.mean(), ({"classifier": stats}, {})

    sgd = optax.chain(optax.add_decayed_weights(WEIGHT_DECAY), optax.sgd(LEARNING_RATE, MOMENTUM))
    players = (Player("classifier", ("classifier",), loss, sgd),)
    init, step = game(init_networks, players)
    return Model(init, step, sample=None, players=players)


def twin(params: Params, *, compiled: bool) -> Twin:
    """The PyTorch side."""
    network = residual_network(params["classifier"])

    def loss(x: Tensor, label: Tensor) -> Tensor:
        return cross_entropy(network(x), label)

    sgd = torch.optim.SGD(
        network.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, fused=True
    )
    return Alternating([TorchPlayer("classifier", loss, network, sgd)], compiled=compiled)


def labelled_images() -> dict[str, np.ndarray]:
    """Noise, and labels that are no better."""
    images = noise_images(SHAPE)
    labels = np.random.default_rng(1).integers(0, CLASSES, len(images["image"]), dtype=np.int32)
    return images | {"label": labels}
