"""A classifier: one network that predicts the label y of an example x.

Training minimizes the cross-entropy

    -log p(y|x),    p(y|x) = softmax(f(x))_y    in nats per example.

It does not sample; it is a model like the others that offers `predict`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import optax

from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, Player, State, game
from jaxgen.models.checked_model import checked
from jaxgen.models.dependences import Dependence, of_architectures
from jaxgen.models.labels import count_classes, labels_of
from jaxgen.models.networks import apply_network, check_network, init_network, make_dropout_key
from jaxgen.models.optimizer import OptimizerConfig, check_optimizers, freeze_networks, make_optimizer
from jaxgen.models.preprocessing import is_image, preprocess, to_signed
from jaxgen.models.validation import check_build, check_not_negative, check_positive, check_widths
from jaxgen.nn.autoencoding import Network
from jaxgen.nn.dcgan import Discriminator
from jaxgen.nn.mlp import MLP
from jaxgen.nn.resnet import ResNet
from jaxgen.typing import Array, Batch, Float, Int, KeyArray, Metrics, Params, Stats

Architecture: TypeAlias = Literal["mlp", "conv", "resnet"]
Augmentation: TypeAlias = Callable[[KeyArray, Float[Array, " batch *event"]], Float[Array, " batch *event"]]
"""`(key, x) -> x`, applied to the preprocessed examples in training."""


@dataclass(frozen=True, kw_only=True)
class Config(OptimizerConfig):
    """Options of a classifier.

    Attributes:
        architecture: fully connected layers; strided convolutions as in DCGAN's discriminator; or the residual network
            for small images of He et al. 2016. By default conv for images and mlp for points.
        hidden: widths of the hidden layers (mlp).
        width: channels of the first convolution (conv, resnet).
        blocks: number of residual blocks per stage (resnet).
        max_shift: largest random shift of the images in training, in pixels, up or down and to a side.
    """

    architecture: Architecture | None = None
    hidden: tuple[int, ...] = (400,)
    width: int = 16
    blocks: int = 1
    max_shift: int = 0

    def __post_init__(self) -> None:
        self.check_optimizer()
        if self.architecture is not None:
            check_known("architecture", self.architecture, get_args(Architecture))
        check_widths(hidden=self.hidden)
        check_positive(width=self.width, blocks=self.blocks)
        check_not_negative(max_shift=self.max_shift)

    def dependences(self, example: Batch) -> tuple[Dependence, ...]:
        """Return which options have an effect for data."""
        architecture = self.architecture or ("conv" if is_image(example) else "mlp")
        options = of_architectures(architecture, hidden=["mlp"], width=["conv", "resnet"], blocks=["resnet"])
        return (*super().dependences(example), *options)


class Classifier(NamedTuple):
    """The network of a classifier and what it is applied to.

    Attributes:
        network: `[batch, *event] -> [batch, classes]`; images have values in [-1, 1].
        images: whether the examples are images.
        augment: augmentation of the examples in training.
    """

    network: Network
    images: bool
    augment: Augmentation

    def inputs(self, x: Float[Array, " batch *event"]) -> Float[Array, " batch *event"]:
        """Return preprocessed examples as inputs of the network."""
        return to_signed(x) if self.images else x


def build(
    config: Config,
    example: Batch,
    *,
    network: Network | None = None,
    augment: Augmentation | None = None,
    optimizer: optax.GradientTransformation | None = None,
) -> Model:
    """Build a classifier for data of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the data and the number of classes, `label.max() + 1`.
        network: module in place of the named architecture, `[batch, *event] -> [batch, classes]`; see
            `jaxgen.models.networks`.
        augment: `(key, x) -> x`, applied to images in [0, 1], or points, in training, in place of random shifts.
        optimizer: optimizer in place of that of the config.

    Returns:
        The model. `predict(state, batch)` gives logits `[batch, classes]`; `evaluate` gives `accuracy` (0 or 1) and
        `cross_entropy` in nats per example.

    Raises:
        InputError: if the data have no labels, the options do not fit the data, or the module does not fit its role.

    Example:
        >>> points = {"point": jnp.zeros((4, 2)), "label": jnp.arange(4)}
        >>> model = build(Config(hidden=(16,)), points)
        >>> state = model.init(jax.random.key(0), points)
        >>> model.predict(state, points).shape
        (4, 4)
    """
    check_build(config, Config, example)
    check_optimizers(optimizer=optimizer)
    images, shape, classes = is_image(example), preprocess(example).shape[1:], count_classes(example)
    if config.max_shift and not images:
        raise InputError("max_shift is a shift of images, and these data are points: leave it out")
    shift = partial(shift_images, max_shift=config.max_shift) if config.max_shift else _unaugmented
    classifier = Classifier(
        network=network or _network(config, images, classes), images=images, augment=augment or shift
    )
    check_network("classifier", network, (jnp.zeros((2, *shape)),), (classes,))
    player = Player(
        name="classifier",
        trains=("classifier",),
        loss=partial(loss, classifier),
        tx=optimizer or make_optimizer(config),
    )
    (player,) = freeze_networks([player], config.freeze)
    init, step = game(partial(init_networks, classifier), [player])
    model = Model(
        init=init,
        step=step,
        players=(player,),
        predict=partial(predict, classifier),
        evaluate=partial(evaluate, classifier),
    )
    return checked(model, example, classes=classes)


def loss(
    classifier: Classifier, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the mean cross-entropy of a batch, `mean of -log softmax(f(x))_y`, in nats."""
    dropout_key = make_dropout_key(key)
    x = classifier.inputs(classifier.augment(key, preprocess(batch)))
    logits, stats = apply_network(classifier.network, "classifier", params, state.stats, x, train=True, key=dropout_key)
    cross_entropy = optax.softmax_cross_entropy_with_integer_labels(logits, labels_of(batch))
    accuracy = jnp.mean(logits.argmax(axis=-1) == labels_of(batch))
    return cross_entropy.mean(), (stats, {"accuracy": accuracy})


def init_networks(classifier: Classifier, key: KeyArray, batch: Batch) -> dict[str, Params]:
    """Initialize the network."""
    return {"classifier": init_network(classifier.network, key, classifier.inputs(preprocess(batch)))}


def predict(classifier: Classifier, state: State, batch: Batch) -> Float[Array, "batch classes"]:
    """Return the logits of the classes of each example."""
    x = classifier.inputs(preprocess(batch))
    return apply_network(classifier.network, "classifier", state.params, state.stats, x, train=False)[0]


def evaluate(classifier: Classifier, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return whether the prediction is right, and the cross-entropy in nats, for each example."""
    logits, label = predict(classifier, state, batch), labels_of(batch)
    return {
        "accuracy": (logits.argmax(axis=-1) == label).astype(jnp.float32),
        "cross_entropy": optax.softmax_cross_entropy_with_integer_labels(logits, label),
    }


def shift_images(
    key: KeyArray, images: Float[Array, "n height width channels"], *, max_shift: int
) -> Float[Array, "n height width channels"]:
    """Shift every image by a random number of pixels up or down and to a side; the border is filled with zeros.

    Args:
        key: PRNG key of the shifts.
        images: images.
        max_shift: largest shift in pixels.

    Returns:
        The shifted images.

    Example:
        >>> shift_images(jax.random.key(0), jnp.ones((5, 8, 8, 1)), max_shift=1).shape
        (5, 8, 8, 1)
    """
    n, height, width, channels = images.shape
    padded = jnp.pad(images, [(0, 0), (max_shift, max_shift), (max_shift, max_shift), (0, 0)])
    corners = jax.random.randint(key, (n, 2), 0, 2 * max_shift + 1)

    def crop(image: Float[Array, "rows columns channels"], corner: Int[Array, " 2"]) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, channels))

    return jax.vmap(crop)(padded, corners)


def _unaugmented(key: KeyArray, x: Float[Array, " batch *event"]) -> Float[Array, " batch *event"]:
    return x


def _network(config: Config, images: bool, classes: int) -> Network:
    architecture = config.architecture or ("conv" if images else "mlp")
    if architecture == "mlp":
        return MLP(hidden=config.hidden, shape=(classes,))
    if not images:
        raise InputError(f"the architecture '{architecture}' is for images, and these data are points: choose 'mlp'")
    if architecture == "conv":
        return Discriminator(width=config.width, shape=(classes,))
    return ResNet(blocks=config.blocks, classes=classes, width=config.width)
