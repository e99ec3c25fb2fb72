"""The two networks of a GAN, and how they are called: with labels, on packed examples, in training or not.

Three ways to tell a discriminator the class y of an example, beside the generator that finds it appended to its noise:

    concatenation          D sees y as further inputs: coordinates of a point, constant channels of a picture
                           (Mirza & Osindero 2014, arXiv:1411.1784)
    projection             D(x, y) = psi(phi(x)) + v_y' phi(x), phi(x) being its last hidden layer
                           (Miyato & Koyama 2018, arXiv:1802.05637, equation 4)
    auxiliary_classifier   D does not see y: it has further outputs that tell the class
                           (Odena, Olah & Shlens 2017, arXiv:1610.09585)

As psi is affine in phi(x), projection needs nothing but one further output a class: its weights are v_y.

Packing shows the discriminator m examples at once, as one with m times the coordinates or channels, so that it sees
whether they are all alike (PacGAN, Lin et al. 2018, arXiv:1712.04086).
"""

from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.models.preprocessing import preprocess, to_signed
from jaxgen.nn.normalization import STATISTICS
from jaxgen.typing import Array, Batch, Float, Int, KeyArray, Params, Stats

Condition: TypeAlias = Literal["none", "concatenation", "projection", "auxiliary_classifier"]
Prior: TypeAlias = Literal["normal", "uniform"]
Label: TypeAlias = Int[Array, " batch"] | None


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of each example, or of each pack of them.

    Attributes:
        output: the logit of "real", or the critic's value.
        class_logits: of the classes, where the discriminator is a classifier as well.
    """

    output: Float[Array, " batch"]
    class_logits: Float[Array, "batch classes"] | None = None


class GanNetworks(NamedTuple):
    """The generator and the discriminator, and how they are called.

    Attributes:
        generator: from noise to examples; those that are pictures go through a tanh.
        discriminator: from packed examples to one number each, and one more for each class it has to know.
        latent: length of the noise vector.
        shape: of one example.
        images: whether the examples are pictures.
        prior: of the noise: standard normal, or uniform on [-1, 1].
        condition: how the discriminator is told the class.
        classes: how many there are.
        packing: examples that the discriminator sees at once.
    """

    generator: Any
    discriminator: Any
    latent_dim: int
    shape: tuple[int, ...]
    images: bool
    prior: Prior = "normal"
    condition: Condition = "none"
    classes: int = 0
    packing: int = 1

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize both networks."""
        generator_key, discriminator_key = jax.random.split(key)
        label = jnp.zeros(self.packing, jnp.int32)
        z = self._with_label_as_coordinates(jnp.zeros((self.packing, self.latent_dim)), label)
        x = self.pack(jnp.zeros((self.packing, *self.shape)))
        return {
            "generator": self.generator.init(generator_key, z[:1]),
            "discriminator": self.discriminator.init(discriminator_key, self._seen(x, label)),
        }

    def shown(self, batch: Batch) -> Float[Array, " batch *event"]:
        """The real examples as the discriminator sees them, before they are packed."""
        return to_signed(preprocess(batch)) if self.images else preprocess(batch)

    def label(self, batch: Batch) -> Label:
        """The classes of the real examples, where they matter."""
        return batch["label"] if self.classes else None

    def noise(self, key: KeyArray, n: int) -> Float[Array, "n latent"]:
        """Noise vectors for n examples."""
        if self.prior == "uniform":
            return jax.random.uniform(key, (n, self.latent_dim), minval=-1.0, maxval=1.0)
        return jax.random.normal(key, (n, self.latent_dim))

    def generate(
        self, z: Float[Array, "batch latent"], label: Label, params: Params, stats: Stats, *, training: bool
    ) -> tuple[Float[Array, " batch *event"], Stats]:
        """The examples G(z), and the new statistics of the generator."""
        z = self._with_label_as_coordinates(z, label)
        x, stats = forward(self.generator, "generator", z, params, stats, training=training)
        return (jnp.tanh(x) if self.images else x), stats

    def pack(self, x: Float[Array, " batch *event"]) -> Float[Array, " packs *event"]:
        """Put every m examples together: m times the coordinates of points, m times the channels of pictures."""
        packs = len(x) // self.packing
        if packs * self.packing != len(x):
            raise InputError(
                f"{self.packing} examples are packed at a time, and {len(x)} do not divide by that: "
                f"give a batch size that does"
            )
        if self.packing == 1:
            return x
        apart = x.reshape(packs, self.packing, *x.shape[1:])
        return jnp.moveaxis(apart, 1, -2).reshape(packs, *x.shape[1:-1], -1)

    def discriminate(
        self, x: Float[Array, " packs *event"], label: Label, params: Params, stats: Stats, *, training: bool
    ) -> tuple[DiscriminatorOutput, Stats]:
        """What the discriminator says of packed examples, and its new statistics."""
        seen = self._seen(x, label)
        output, stats = forward(self.discriminator, "discriminator", seen, params, stats, training=training)
        if self.condition == "projection" and label is not None:
            of_class = jnp.take_along_axis(output[:, 1:], label[:, None], axis=1)[:, 0]
            return DiscriminatorOutput(output[:, 0] + of_class), stats
        if self.condition == "auxiliary_classifier":
            return DiscriminatorOutput(output[:, 0], output[:, 1:]), stats
        return DiscriminatorOutput(output), stats

    def discriminate_both(
        self, real: Array, fake: Array, label: Label, params: Params, stats: Stats
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput, Stats]:
        """What the discriminator says of real and of generated examples in training, and its new statistics.

        Where batches are normalized, real and generated examples pass one after the other, each by their own
        statistics. Where they are not, one pass is the same and faster.
        """
        if "batch_stats" in stats.get("discriminator", {}):
            of_real, stats = self.discriminate(real, label, params, stats, training=True)
            of_fake, stats = self.discriminate(fake, label, params, stats, training=True)
            return of_real, of_fake, stats
        both = jnp.concatenate([real, fake])
        twice = None if label is None else jnp.concatenate([label, label])
        output_of_discriminator, stats = self.discriminate(both, twice, params, stats, training=True)
        n = len(real)
        return (
            jax.tree.map(lambda x: x[:n], output_of_discriminator),
            jax.tree.map(lambda x: x[n:], output_of_discriminator),
            stats,
        )

    def _seen(self, x: Float[Array, " packs *event"], label: Label) -> Float[Array, " packs *event"]:
        if self.condition != "concatenation":
            return x
        if not self.images:
            return self._with_label_as_coordinates(x, label)
        planes = jax.nn.one_hot(label, self.classes)[:, None, None, :]
        return jnp.concatenate([x, jnp.broadcast_to(planes, (*x.shape[:-1], self.classes))], axis=-1)

    def _with_label_as_coordinates(self, x: Float[Array, "batch dim"], label: Label) -> Float[Array, "batch more"]:
        return jnp.concatenate([x, jax.nn.one_hot(label, self.classes)], axis=-1) if self.classes else x


def forward(
    network: Any, name: str, x: Float[Array, " batch *input"], params: Params, stats: Stats, *, training: bool
) -> tuple[Float[Array, " batch *output"], Stats]:
    """Apply one network of a game.

    Args:
        network: a Flax module.
        name: of the network.
        x: what it is applied to.
        params: of all networks.
        stats: of all networks that have any.
        training: whether batch normalization uses the batch, and statistics move.

    Returns:
        The output; and `{name: new statistics}`, or nothing where no statistics moved.

    Example:
        >>> from jaxgen.nn.mlp import MLP
        >>> network = MLP(hidden=(), shape=())
        >>> params = {"discriminator": network.init(jax.random.key(0), jnp.zeros((1, 2)))["params"]}
        >>> output, stats = forward(network, "discriminator", jnp.zeros((3, 2)), params, {}, training=True)
        >>> output.shape, stats
        ((3,), {})
    """
    variables = {"params": params[name], **stats.get(name, {})}
    output, updated = network.apply(variables, x, mutable=list(STATISTICS) if training else [])
    return output, {name: updated} if updated else {}
