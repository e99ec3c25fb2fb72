"""What PGGAN, StyleGAN and StyleGAN2 map between: latents, labels, and images of the one size of their networks."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.game import State
from jaxgen.models.full_size import Shape, full_size, surrounded, without_border
from jaxgen.models.labels import Label, Labels, check_conditional, count_classes, each_label
from jaxgen.models.preprocessing import from_signed
from jaxgen.typing import Array, Batch, Float, KeyArray


class Spaces(NamedTuple):
    """Latents, labels and images of a GAN.

    Attributes:
        latent_dim: dimension of the latent z.
        classes: number of classes; 0 if the networks are not conditioned.
        size: height and width of the networks' images, the largest ones of networks that grow.
        shape: height, width and channels of the data.
    """

    latent_dim: int
    classes: int
    size: int
    shape: Shape

    def examples(self) -> tuple[Float[Array, "1 latent"], Label, Float[Array, "1 size size channels"]]:
        """Return one latent, label and image of zeros, with which networks are initialized."""
        label = jnp.zeros(1, jnp.int32) if self.classes else None
        return jnp.zeros((1, self.latent_dim)), label, jnp.zeros((1, self.size, self.size, self.shape[2]))

    def sample_latent(self, key: KeyArray, n: int) -> Float[Array, "n latent"]:
        """Draw n latents."""
        return jax.random.normal(key, (n, self.latent_dim))

    def label(self, batch: Batch) -> Label:
        """Return the classes of the real images; None without a condition."""
        return batch["label"] if self.classes else None

    def each_label(self, label: Labels | None, n: int) -> Label:
        """Return a class for each of n samples, as `jaxgen.models.labels.each_label` does; None without a condition."""
        check_conditional(label, conditional=bool(self.classes))
        return each_label(label, n, self.classes) if self.classes else None

    def real(self, batch: Batch) -> Float[Array, "batch size size channels"]:
        """Return the real images, in [-1, 1], surrounded by black to the size of the networks."""
        return surrounded(batch, self.size)

    def data_images(self, images: Float[Array, "n size size channels"]) -> Float[Array, "n height width channels"]:
        """Return images of the networks as those of the data: in [0, 1], approximately, without what surrounds them."""
        return from_signed(without_border(images, self.shape))

    def sampler(self, decode: Callable[..., Array]) -> Callable[..., Array]:
        """Return `sample(key, state, n, **conditions)`: the images of n new latents by a function `decode`."""

        def sample(key: KeyArray, state: State, n: int, **conditions: Any) -> Float[Array, "n height width channels"]:
            return decode(state, self.sample_latent(key, n), **conditions)

        return sample


def spaces_for(family: str, example: Batch, *, latent_dim: int, size: int | None, conditional: bool) -> Spaces:
    """Return the latents, labels and images of a family for data.

    Args:
        family: name of the family, for messages.
        example: batch that shows the shape of the images and the number of classes.
        latent_dim: dimension of the latent z.
        size: height and width of the networks' images; None for that of the data.
        conditional: whether the networks are conditioned on the class.

    Returns:
        The spaces.

    Raises:
        InputError: if the data are no images of a size that the networks can have, or have no labels where the networks
            are conditioned on them.

    Example:
        >>> spaces_for("stylegan2", {"image": jnp.zeros((1, 28, 28, 1))}, latent_dim=64, size=32, conditional=False)
        Spaces(latent_dim=64, classes=0, size=32, shape=(28, 28, 1))
    """
    size, shape = full_size(family, example, size)
    classes = count_classes(example) if conditional else 0
    return Spaces(latent_dim, classes, size, shape)
