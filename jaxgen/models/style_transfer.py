"""Arbitrary style transfer: an image in the style of any other one, by adaptive instance normalization (AdaIN).

A fixed encoder f, VGG-19 up to relu4_1 with published weights, maps a content image c and a style image s to features,
AdaIN gives those of c the mean and standard deviation of those of s, and a decoder g, the only network that is trained,
maps them to an image (Huang & Belongie 2017, arXiv:1703.06868, equations 9 to 13):

    t = AdaIN(f(c), f(s)),    loss = mean of (f(g(t)) - t)^2 + style_weight * sum over layers i of
                                         |mean(f_i(g(t))) - mean(f_i(s))|^2 + |sd(f_i(g(t))) - sd(f_i(s))|^2

The squares are those of the authors' code, whose weight is 0.01; the paper writes norms. Every image of a batch is a
content, and the style of another one, so that photographs and paintings belong into one data set. From Python, data may
have an array `style` of as many images, of any size, beside `image`: the styles of a batch are then those, and which
of them is the style of which image is drawn in every step.

    stylize(c, s, alpha) = g((1 - alpha) f(c) + alpha t)
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import optax
from flax.traverse_util import unflatten_dict

from jaxgen._arrays import check_number, is_known
from jaxgen.batch_checks import check_data
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, Player, State, StyleTransfer, game
from jaxgen.installed_weights import PublishedWeights, load_weights
from jaxgen.losses import content_loss, squared_error, style_loss
from jaxgen.models.checked_model import checked
from jaxgen.models.networks import apply_untyped
from jaxgen.models.optimizer import OptimizerConfig, check_optimizers, freeze_networks, make_optimizer
from jaxgen.models.preprocessing import is_image, preprocess
from jaxgen.models.validation import check_build, check_not_negative, check_positive
from jaxgen.nn.instance_norm import adain, channel_statistics
from jaxgen.nn.vgg19 import STAGES, WIDTH, StyleDecoder, VGG19Encoder, names_of, smallest_size
from jaxgen.nn.vgg19_names import convert_normalised, convert_torchvision
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray, Metrics, Params, PyTree, Scalar, Stats

EncoderWeights: TypeAlias = Literal["vgg_normalised", "vgg19", "random"]

ENCODER_WEIGHTS: dict[str, PublishedWeights] = {
    "vgg_normalised": PublishedWeights(
        name="vgg_normalised",
        files=("vgg_normalised.pth",),
        sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
        url="https://github.com/naoto0804/pytorch-AdaIN/releases/download/v0.0.0/vgg_normalised.pth",
        convert=convert_normalised,
    ),
    "vgg19": PublishedWeights(
        name="vgg19",
        files=("vgg19-dcbb9e9d.pth",),
        sha256="dcbb9e9d",
        url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        convert=convert_torchvision,
    ),
}
"""Name of published weights of the encoder -> the file. Of torchvision's, its name has the first digits of the hash."""


@dataclass(frozen=True, kw_only=True)
class Config(OptimizerConfig):
    """Options of style transfer.

    Attributes:
        encoder_weights: weights of the encoder: the normalised ones of the paper, which `style_weight` is for; those of
            torchvision; or random ones, for which no file is needed. Published ones are installed by `jaxgen metrics
            weights`.
        width: channels of the first stage of the encoder and of the last one of the decoder; 64 for published weights.
        stages: number of stages of the encoder: AdaIN is applied to relu4_1 for 4, and to relu3_1 for 3, which keeps
            more of a small image.
        style_weight: weight of the style loss.
        learning_rate: learning rate, after the warm-up and before the decay of a schedule.
    """

    encoder_weights: EncoderWeights = "vgg_normalised"
    width: int = WIDTH
    stages: int = STAGES
    style_weight: float = 0.01
    learning_rate: float | None = 1e-4

    def __post_init__(self) -> None:
        self.check_optimizer()
        check_known("encoder_weights", self.encoder_weights, get_args(EncoderWeights))
        check_positive(width=self.width, stages=self.stages)
        check_not_negative(style_weight=self.style_weight)
        if is_known(self.stages) and not 2 <= self.stages <= STAGES:
            raise InputError(f"stages must be from 2 to {STAGES}, got {self.stages}")
        if self.encoder_weights != "random" and self.width != WIDTH:
            raise InputError(
                f"width must be {WIDTH} for published weights of the encoder, got {self.width}: give encoder_weights "
                "'random' for others"
            )


class Networks(NamedTuple):
    """The networks of style transfer.

    Attributes:
        encoder: `RGB images in [0, 1] -> features of each stage`, fixed.
        decoder: `features of the last stage -> images`, `[batch, height, width, channels]`.
        channels: channels of the images of the data, 1 or 3.
    """

    encoder: VGG19Encoder
    decoder: StyleDecoder
    channels: int

    def encode(
        self, params: Params, images: Float[Array, "batch height width channels"]
    ) -> list[Float[Array, "batch rows columns features"]]:
        """Return the features of each stage; grey images are repeated to three channels."""
        colours = jnp.broadcast_to(images, (*images.shape[:3], 3))
        found: list[Array] = apply_untyped(self.encoder, {"params": params["encoder"]}, colours)
        return found

    def decode(
        self, params: Params, features: Float[Array, "batch rows columns features"], like: Array
    ) -> Float[Array, "batch height width channels"]:
        """Return images of the height and width of `like`, which may be a few pixels less than those of the decoder."""
        images: Array = apply_untyped(self.decoder, {"params": params["decoder"]}, features)
        return images[:, : like.shape[1], : like.shape[2]]


def build(
    config: Config,
    example: Batch,
    *,
    optimizer: optax.GradientTransformation | None = None,
) -> Model:
    """Build a model of style transfer for images of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the data.
        optimizer: optimizer in place of that of the config.

    Returns:
        The model. `init` gives an encoder with random weights; a training (`fit`, `initial_state`) begins with the
        published ones, `model.pretrained()`. `style_transfer` has the functions for images of any size; a model of grey
        images makes grey images. `reconstruct` decodes the features of an image themselves; `evaluate` gives the losses
        of each image in its own style, so that they depend on no other image, and `mse`, that of its reconstruction.

    Raises:
        InputError: if the data are no images of 1 or 3 channels, or they are too small.

    Example:
        >>> images = {"image": jnp.zeros((2, 16, 16, 3))}
        >>> model = build(Config(encoder_weights="random", width=4), images)
        >>> state = model.init(jax.random.key(0), images)
        >>> transfer = model.style_transfer
        >>> transfer.stylize(state, jnp.zeros((2, 20, 12, 3)), transfer.style(state, images["image"])).shape
        (2, 20, 12, 3)
    """
    check_build(config, Config, example)
    check_optimizers(optimizer=optimizer)
    if not is_image(example):
        raise InputError("style transfer is for images, and these data are points")
    channels = example["image"].shape[-1]
    if channels not in (1, 3):
        raise InputError(f"images must have 1 or 3 channels for style transfer, got {channels}")
    smallest = smallest_size(config.stages)
    if min(example["image"].shape[1:3]) < smallest:
        raise InputError(_too_small(example["image"].shape, smallest) + ", or give fewer stages")
    networks = Networks(
        encoder=VGG19Encoder(config.width, config.stages),
        decoder=StyleDecoder(config.width, config.stages, channels),
        channels=channels,
    )
    player = Player(
        name="decoder",
        trains=("decoder",),
        loss=partial(loss, networks, config),
        tx=optimizer or make_optimizer(config),
    )
    (player,) = freeze_networks([player], config.freeze)
    init, step = game(partial(init_networks, networks), [player])
    model = Model(
        init=init,
        step=step,
        players=(player,),
        reconstruct=partial(reconstruct, networks),
        evaluate=partial(evaluate, networks),
        style_transfer=StyleTransfer(
            style=partial(style, networks, smallest),
            stylize=partial(stylize, networks, smallest),
            smallest=smallest,
        ),
        pretrained=_pretrained(config),
    )
    return checked(model, example)


def loss(
    networks: Networks, config: Config, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the content and style losses of the images of a batch in the styles of others.

    `mean of  content_loss(f(g(t)), t) + style_weight * style_loss`,  `t = AdaIN(f(c), f(s))`

    Args:
        networks: the networks.
        config: options.
        key: PRNG key of the styles.
        params: parameters of both networks.
        state: state of the training.
        batch: images, and styles from elsewhere if it has an array `style`.

    Returns:
        The loss, no statistics, and the metrics `content_loss` and `style_loss`.
    """
    del state
    images = preprocess(batch)
    contents = networks.encode(params, images)
    if "style" in batch:
        styles = _rotated(key, networks.encode(params, preprocess({"image": batch["style"]})), least=0)
    else:
        styles = _rotated(key, contents, least=1)  # Each is the style of another one.
    _, content_losses, style_losses = _decoded(networks, params, images, contents, styles)
    metrics = {"content_loss": content_losses.mean(), "style_loss": style_losses.mean()}
    return jnp.mean(content_losses + config.style_weight * style_losses), ({}, metrics)


def init_networks(networks: Networks, key: KeyArray, batch: Batch) -> dict[str, Params]:
    """Initialize both networks; published weights of the encoder take the place of these afterwards."""
    encoder_key, decoder_key = jax.random.split(key)
    images = preprocess(batch)[:1]
    encoder = dict(networks.encoder.init(encoder_key, jnp.zeros((*images.shape[:3], 3))))
    features = networks.encode({"encoder": encoder["params"]}, images)[-1]
    return {"encoder": encoder, "decoder": dict(networks.decoder.init(decoder_key, features))}


def style(
    networks: Networks, smallest: int, state: State, images: Float[AnyArray, "n height width channels"]
) -> Float[Array, "n 2 features"]:
    """Return the style of each image: mean and standard deviation of its features.

    Args:
        networks: the networks.
        smallest: smallest height and width of images.
        state: state of the training.
        images: bytes, or floats in [0, 1]; of one channel, or as many as the images of the training.

    Returns:
        Statistics.

    Raises:
        InputError: if the images are too small or have another number of channels.
    """
    return channel_statistics(networks.encode(state.params, _inputs(networks, smallest, images))[-1])


def stylize(
    networks: Networks,
    smallest: int,
    state: State,
    images: Float[AnyArray, "n height width channels"],
    statistics: Float[AnyArray, "n 2 features"],
    alpha: Scalar = 1.0,
) -> Float[Array, "n height width channels"]:
    """Return images in given styles: `g((1 - alpha) f(c) + alpha AdaIN(f(c), statistics))`.

    Args:
        networks: the networks.
        smallest: smallest height and width of images.
        state: state of the training.
        images: the contents: bytes, or floats in [0, 1]; of one channel, or as many as the images of the training.
        statistics: a style for each image, as `style` returns them, or a weighted mean of several.
        alpha: share of the style, from 0 (the image is reconstructed) to 1.

    Returns:
        Images of the size of the contents, with as many channels as those of the training; not bounded.

    Raises:
        InputError: if the images are too small or have another number of channels, or alpha is not from 0 to 1.

    Reference:
        Huang & Belongie 2017, arXiv:1703.06868, equations 14 and 15.
    """
    if is_known(alpha):
        check_alpha(alpha)
    contents = _inputs(networks, smallest, images)
    features = networks.encode(state.params, contents)[-1]
    styled = (1 - alpha) * features + alpha * adain(features, jnp.asarray(statistics, features.dtype))
    return networks.decode(state.params, styled, contents)


def check_alpha(alpha: Any, *, name: str = "alpha") -> None:
    """Check the share of the style.

    Args:
        alpha: a number.
        name: what it is called in the message.

    Raises:
        InputError: if it is not from 0 to 1.

    Example:
        >>> check_alpha(2.0)
        Traceback (most recent call last):
        jaxgen.errors.InputError: alpha must be from 0 (the content is reconstructed) to 1 (the style), got 2.0
    """
    check_number(name, alpha, finite=True)
    if not 0 <= alpha <= 1:
        raise InputError(f"{name} must be from 0 (the content is reconstructed) to 1 (the style), got {alpha}")


def reconstruct(networks: Networks, state: State, batch: Batch) -> Array:
    """Return the decoded features of each image."""
    images = preprocess(batch)
    return networks.decode(state.params, networks.encode(state.params, images)[-1], images)


def evaluate(networks: Networks, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return the losses of each image in its own style, and the mean squared error of its reconstruction."""
    del key
    images = preprocess(batch)
    features = networks.encode(state.params, images)
    decoded, content_losses, style_losses = _decoded(networks, state.params, images, features, features)
    errors = squared_error(decoded, images).reshape(len(images), -1)
    return {"content_loss": content_losses, "style_loss": style_losses, "mse": errors.mean(axis=1)}


def _decoded(
    networks: Networks,
    params: Params,
    images: Float[Array, "batch height width channels"],
    contents: list[Float[Array, "batch rows columns features"]],
    styles: list[Float[Array, "batch other_rows other_columns features"]],
) -> tuple[Array, Float[Array, " batch"], Float[Array, " batch"]]:
    """Images in the styles of others, by the features of both; their content losses, and their style losses summed."""
    target = adain(contents[-1], channel_statistics(styles[-1]))
    decoded = networks.decode(params, target, images)
    found = networks.encode(params, decoded)
    style_losses = [style_loss(x, y) for x, y in zip(found, styles, strict=True)]
    return decoded, content_loss(found[-1], target), jnp.sum(jnp.stack(style_losses), axis=0)


def _rotated(key: KeyArray, features: list[Array], *, least: int) -> list[Array]:
    """The features of a batch, each at the place of another: all are shifted by as many places, at least `least`."""
    count = len(features[0])
    places = jax.random.randint(key, (), least, count) if count > 1 else 0
    return [jnp.roll(x, places, axis=0) for x in features]


def _inputs(
    networks: Networks, smallest: int, images: Float[AnyArray, "n height width channels"]
) -> Float[Array, "n height width channels"]:
    """Images in [0, 1] with as many channels as those of the training."""
    check_data({"image": images})
    if images.shape[-1] not in (1, networks.channels):
        need = "1 channel" if networks.channels == 1 else f"1 or {networks.channels} channels"
        raise InputError(f"images must have {need}, as those of the training, got {images.shape[-1]}")
    if min(images.shape[1:3]) < smallest:
        raise InputError(_too_small(images.shape, smallest))
    values = preprocess({"image": images})
    return jnp.broadcast_to(values, (*values.shape[:3], networks.channels))


def _too_small(shape: tuple[int, ...], smallest: int) -> str:
    return (
        f"images must have at least {smallest}x{smallest} pixels for the encoder, got {shape[1]}x{shape[2]}: surround "
        "them by black, or resize them"
    )


def _pretrained(config: Config) -> Callable[[], dict[str, PyTree]] | None:
    """The function that loads the weights of the encoder; None for random ones."""
    if config.encoder_weights == "random":
        return None

    def load() -> dict[str, PyTree]:
        layers = unflatten_dict(load_weights(ENCODER_WEIGHTS[config.encoder_weights]), sep="/")
        return {"encoder": {name: layers[name] for name in ("input", *names_of(config.stages))}}

    return load
