"""The reader of digits: a classifier that says which of the thousand modes of stacked digits a generator reaches.

The modes of `stacked_digits` and `stacked_mnist` (`jaxgen.data.stacked`) are counted by reading the three digits of a
picture, each channel with one and the same classifier of single digits. Its accuracy bounds what can be counted: every
number of a generator is held against the same number of real pictures that the reader has not seen.

It learns any grey pictures of ten classes, Fashion-MNIST as well.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgen.data.stacked import CHANNELS, CLASSES, PLACES
from jaxgen.errors import InputError
from jaxgen.game import Model, Player, State, game
from jaxgen.models.preprocessing import preprocess, to_signed
from jaxgen.nn.dcgan import Discriminator
from jaxgen.training import fit
from jaxgen.typing import AnyArray, Array, Batch, Float, Int, KeyArray, Metrics, Params, Shaped, Stats

LEARNING_RATE = 3e-3
"""Of Adam, at the start."""

READ_TOGETHER = 1000
"""Single digits that are read at once."""


class DigitPrediction(NamedTuple):
    """What the reader sees in stacked pictures.

    Attributes:
        labels: `100 a + 10 b + c` with a, b and c the digits in the red, the green and the blue channel; 0..999.
        confidence: the probability of that label, in [0, 1], given that there are digits: how sure the reading is. What
            is no digit at all, such as noise or black, may well be read with confidence.
    """

    labels: Int[Array, " n"]
    confidence: Float[Array, " n"]


class DigitClassifier(NamedTuple):
    """A trained classifier of digits. Make one with `train_digit_classifier`.

    Attributes:
        network: from pictures with values in [-1, 1] to ten logits.
        variables: of the network, its parameters and the running averages of batch normalization.
    """

    network: Any
    variables: Params

    def logits(self, images: Shaped[AnyArray, "n height width 1"]) -> Float[Array, "n 10"]:
        """What the network says of single digits.

        Args:
            images: of single digits, of the size that the reader was trained with: floats in [0, 1], as models sample
                them, or uint8 in 0..255, as data hold them.

        Returns:
            Ten logits for each picture.

        Raises:
            ValueError: if the pictures are not grey, or there are none.
        """
        _check_shape(images, channels=1)
        blocks = [images[i : i + READ_TOGETHER] for i in range(0, len(images), READ_TOGETHER)]
        return jnp.concatenate([_logits(self.network, self.variables, block) for block in blocks])

    def probabilities(self, images: Shaped[AnyArray, "n height width 1"]) -> Float[Array, "n 10"]:
        """The probability of each digit.

        Args:
            images: as for `logits`.

        Returns:
            Ten probabilities for each picture.

        Raises:
            ValueError: if the pictures are not grey, or there are none.
        """
        return jax.nn.softmax(self.logits(images))

    def read(self, images: Shaped[AnyArray, "n height width 3"]) -> DigitPrediction:
        """Read stacked pictures channel by channel.

        The confidence is the product of the probabilities of the three digits: what the reader gives to the label as a
        whole, the channels being independent, as they are in the data. The least of the three would call a picture of
        three doubtful digits as good as one with a single doubtful digit.

        Args:
            images: stacked digits, floats in [0, 1] or uint8 in 0..255.

        Returns:
            The most probable label of each picture, and its probability.

        Raises:
            ValueError: if the pictures have not three channels, or there are none.

        Reference:
            Srivastava et al. 2017, arXiv:1705.07761, section 4.2; Che et al. 2017, arXiv:1612.02136, section 4.1.
        """
        _check_shape(images, channels=CHANNELS)
        channels = [self.probabilities(images[..., i : i + 1]) for i in range(CHANNELS)]
        probabilities = jnp.stack(channels, axis=1)
        return DigitPrediction(
            labels=probabilities.argmax(axis=-1) @ PLACES, confidence=probabilities.max(axis=-1).prod(axis=-1)
        )


def train_digit_classifier(
    key: KeyArray, digits: Batch, *, steps: int = 1000, batch_size: int = 128, width: int = 32
) -> DigitClassifier:
    """Train a classifier of single digits.

    The network is the discriminator of DCGAN with ten outputs, which minimizes the cross-entropy by Adam with a
    learning rate that falls to 0 along a cosine. Every picture is shifted by up to a sixteenth of its side, rounded up,
    each time it is seen.

    Args:
        key: for the first weights, the order of the pictures and their shifts.
        digits: the training split of `digits` or `mnist`, single digits with their labels.
        steps: batches seen; for MNIST take 2,000.
        batch_size: pictures in one of them.
        width: channels of the first convolution.

    Returns:
        The reader. It reads 99.4 % of the 360 test digits right (two keys), and with 2,000 steps 99.1 % of the 10,000
        of MNIST (one key).

    Raises:
        InputError: if the pictures are not grey or have no labels in 0..9.

    Reference:
        Radford, Metz & Chintala 2016, arXiv:1511.06434 (the network); Loshchilov & Hutter 2017, arXiv:1608.03983
        (the cosine).

    Example:
        >>> from jaxgen.data import load
        >>> classifier = train_digit_classifier(jax.random.key(0), load("digits"), steps=20, width=8)
        >>> reading = classifier.read(load("stacked_digits", split="test", examples=5)["image"])
        >>> reading.labels.shape, reading.confidence.shape
        ((5,), (5,))
    """
    _check_digits(digits)
    network = Discriminator(width=width, shape=(CLASSES,))
    model = _game(network, optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps)))
    state = fit(model, digits, key=key, steps=steps, batch_size=batch_size).state
    return DigitClassifier(network, _variables(state.params, state))


def _game(network: Any, tx: optax.GradientTransformation) -> Model:
    """A game with one player, who minimizes the cross-entropy."""

    def init_networks(key: KeyArray, batch: Batch) -> dict[str, Params]:
        return {"reader": network.init(key, to_signed(preprocess(batch)))}

    def loss(key: KeyArray, params: Params, state: State, batch: Batch) -> tuple[Array, tuple[Stats, Metrics]]:
        x = to_signed(_shifted(key, preprocess(batch)))
        logits, stats = network.apply(_variables(params, state), x, mutable=list(state.stats["reader"]))
        entropy = optax.softmax_cross_entropy_with_integer_labels(logits, batch["label"])
        return entropy.mean(), ({"reader": stats}, {})

    def sample(key: KeyArray, state: State, n: int) -> Array:
        raise InputError("a reader reads pictures and makes none")

    players = (Player("reader", ("reader",), loss, tx),)
    init, step = game(init_networks, players)
    return Model(init, step, sample, players=players)


def _variables(params: Params, state: State) -> Params:
    return {"params": params["reader"], **state.stats["reader"]}


def _shifted(key: KeyArray, images: Float[Array, "n height width 1"]) -> Float[Array, "n height width 1"]:
    """Move every picture up or down and to a side, by a sixteenth of its side, rounded up, at most."""
    n, height, width, _ = images.shape
    most = -(-max(height, width) // 16)
    padded = jnp.pad(images, [(0, 0), (most, most), (most, most), (0, 0)])
    corners = jax.random.randint(key, (n, 2), 0, 2 * most + 1)

    def cut(image: Float[Array, "rows columns 1"], corner: Int[Array, " 2"]) -> Float[Array, "height width 1"]:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), (height, width, 1))

    return jax.vmap(cut)(padded, corners)


@partial(jax.jit, static_argnums=0)
def _logits(network: Any, variables: Params, images: Shaped[AnyArray, "n height width 1"]) -> Float[Array, "n 10"]:
    return network.apply(variables, to_signed(preprocess({"image": images})))


def _check_shape(images: Shaped[AnyArray, "..."], *, channels: int) -> None:
    if images.ndim != 4 or images.shape[-1] != channels or len(images) == 0:
        raise ValueError(f"pictures must be [n, height, width, {channels}] with n > 0, got {images.shape}")


def _check_digits(digits: Batch) -> None:
    if "image" not in digits or "label" not in digits or digits["image"].shape[-1] != 1:
        shapes = {name: array.shape for name, array in digits.items()}
        raise InputError(f"a reader is trained with grey pictures 'image' and their 'label', got {shapes}")
    lowest, highest = int(digits["label"].min()), int(digits["label"].max())
    if lowest < 0 or highest >= CLASSES:
        raise InputError(f"the labels of digits are 0 to 9, got {lowest} to {highest}")
