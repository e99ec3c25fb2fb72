"""The two networks of a GAN, and how they are applied: with labels, to packed examples, in training or not.

Three ways to condition a discriminator on the class y of an example; the generator has y appended to its latent:

    concatenation          D has y as further inputs: coordinates of a point, constant channels of an image
                           (Mirza & Osindero 2014, arXiv:1411.1784)
    projection             D(x, y) = psi(phi(x)) + v_y' phi(x), phi(x) being its last hidden layer
                           (Miyato & Koyama 2018, arXiv:1802.05637, equation 4)
    auxiliary_classifier   D has further outputs that predict the class, and not y as an input
                           (Odena, Olah & Shlens 2017, arXiv:1610.09585)

As psi is affine in phi(x), projection needs only one further output per class: its weights are v_y.

Packing applies the discriminator to m examples together, as one example with m times the coordinates or channels, so
that it can use how similar they are (PacGAN, Lin et al. 2018, arXiv:1712.04086).
"""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp

from jaxgen.errors import InputError
from jaxgen.models.labels import Label
from jaxgen.models.networks import apply_network, check_network, init_network
from jaxgen.models.preprocessing import preprocess, to_signed
from jaxgen.nn.autoencoding import Network
from jaxgen.typing import Array, Batch, Float, KeyArray, Params, Scalar, Stats

ConditionName: TypeAlias = Literal["none", "concatenation", "projection", "auxiliary_classifier"]
LatentDistribution: TypeAlias = Literal["normal", "uniform"]


class DiscriminatorOutput(NamedTuple):
    """Output of a discriminator for each example, or for each pack of examples.

    Attributes:
        logit: logit of "real", or the critic's value.
        class_logits: logits of the classes, where the discriminator has an auxiliary classifier.
    """

    logit: Float[Array, " batch"]
    class_logits: Float[Array, "batch classes"] | None = None


class Networks(NamedTuple):
    """The generator and the discriminator, and how they are applied.

    Attributes:
        generator: `[batch, latent_dim + classes] -> [batch, *shape]`; a tanh is applied to the images it returns.
        discriminator: `[packs, *packed shape] -> [packs]`; `[packs, 1 + classes]` with projection or an auxiliary
            classifier. Images have values in [-1, 1].
        latent_dim: dimension of the latent z.
        shape: shape of one example.
        images: whether the examples are images.
        latent_distribution: distribution of z: standard normal, or uniform on [-1, 1].
        condition: how the discriminator is conditioned on the class.
        classes: number of classes; 0 without a condition.
        packing: number of examples that the discriminator is applied to together.
    """

    generator: Network
    discriminator: Network
    latent_dim: int
    shape: tuple[int, ...]
    images: bool
    latent_distribution: LatentDistribution = "normal"
    condition: ConditionName = "none"
    classes: int = 0
    packing: int = 1

    def init(self, key: KeyArray, batch: Batch) -> dict[str, Params]:
        """Initialize both networks."""
        generator_key, discriminator_key = jax.random.split(key)
        z, x = self._blank_inputs(1)
        return {
            "generator": init_network(self.generator, generator_key, z),
            "discriminator": init_network(self.discriminator, discriminator_key, x),
        }

    def check(self, generator: Network | None, discriminator: Network | None) -> None:
        """Raise an InputError if a module of the user's own does not fit its role; None is a named architecture."""
        z, x = jax.eval_shape(lambda: self._blank_inputs(2))
        outputs = 1 + self.classes if self.condition in ("projection", "auxiliary_classifier") else 0
        check_network("generator", generator, (z,), self.shape)
        check_network("discriminator", discriminator, (x,), (outputs,) if outputs else ())

    def real(self, batch: Batch) -> Float[Array, " batch *event"]:
        """Return the real examples as inputs of the discriminator, before packing."""
        return to_signed(preprocess(batch)) if self.images else preprocess(batch)

    def label(self, batch: Batch) -> Label:
        """Return the classes of the real examples; None without a condition."""
        return batch["label"] if self.classes else None

    def sample_latent(self, key: KeyArray, n: int, *, truncation: Scalar | None = None) -> Float[Array, "n latent"]:
        """Draw n latents; with truncation, coordinates whose absolute value is larger are drawn again."""
        if self.latent_distribution == "uniform":
            return jax.random.uniform(key, (n, self.latent_dim), minval=-1.0, maxval=1.0)
        if truncation is not None:
            return jax.random.truncated_normal(key, -jnp.asarray(truncation), truncation, (n, self.latent_dim))
        return jax.random.normal(key, (n, self.latent_dim))

    @property
    def latent_options(self) -> tuple[str, ...]:
        """Names of the keyword arguments of `sample_latent`: uniform latents have bounds already."""
        return () if self.latent_distribution == "uniform" else ("truncation",)

    def generate(
        self,
        z: Float[Array, "batch latent"],
        label: Label,
        params: Params,
        stats: Stats,
        *,
        train: bool,
        key: KeyArray | None = None,
    ) -> tuple[Float[Array, " batch *event"], Stats]:
        """Return the examples G(z), and the new statistics of the generator."""
        z = self._append_label(z, label)
        x, stats = apply_network(self.generator, "generator", params, stats, z, train=train, key=key)
        return (jnp.tanh(x) if self.images else x), stats

    def pack(self, x: Float[Array, " batch *event"]) -> Float[Array, " packs *event"]:
        """Join every m examples: m times the coordinates of points, m times the channels of images."""
        packs = len(x) // self.packing
        if packs * self.packing != len(x):
            raise InputError(
                f"the batch size must divide by the packing of {self.packing}, got {len(x)} examples: give another one"
            )
        if self.packing == 1:
            return x
        separate = x.reshape(packs, self.packing, *x.shape[1:])
        return jnp.moveaxis(separate, 1, -2).reshape(packs, *x.shape[1:-1], -1)

    def discriminate(
        self,
        x: Float[Array, " packs *event"],
        label: Label,
        params: Params,
        stats: Stats,
        *,
        train: bool,
        key: KeyArray | None = None,
    ) -> tuple[DiscriminatorOutput, Stats]:
        """Return the discriminator's output for packed examples, and its new statistics."""
        inputs = self._with_label(x, label)
        output, stats = apply_network(self.discriminator, "discriminator", params, stats, inputs, train=train, key=key)
        if self.condition == "projection" and label is not None:
            of_class = jnp.take_along_axis(output[:, 1:], label[:, None], axis=1)[:, 0]
            return DiscriminatorOutput(output[:, 0] + of_class), stats
        if self.condition == "auxiliary_classifier":
            return DiscriminatorOutput(output[:, 0], output[:, 1:]), stats
        return DiscriminatorOutput(output), stats

    def discriminate_both(
        self, real: Array, fake: Array, label: Label, params: Params, stats: Stats, *, key: KeyArray | None = None
    ) -> tuple[DiscriminatorOutput, DiscriminatorOutput, Stats]:
        """Return the discriminator's outputs for real and generated examples in training, and its new statistics.

        Where batches are normalized, the real and the generated examples are passed one after the other, each
        normalized by their own statistics. Otherwise one pass gives the same result and is faster.
        """
        if "batch_stats" in stats.get("discriminator", {}):
            keys = (None, None) if key is None else jax.random.split(key)
            of_real, new = self.discriminate(real, label, params, stats, train=True, key=keys[0])
            of_fake, new = self.discriminate(fake, label, params, stats | new, train=True, key=keys[1])
            return of_real, of_fake, new
        both = jnp.concatenate([real, fake])
        labels = None if label is None else jnp.concatenate([label, label])
        output, new = self.discriminate(both, labels, params, stats, train=True, key=key)
        n = len(real)
        return jax.tree.map(lambda x: x[:n], output), jax.tree.map(lambda x: x[n:], output), new

    def _blank_inputs(self, n: int) -> tuple[Float[Array, "n latent"], Float[Array, " n *event"]]:
        """Inputs of zeros for the generator and the discriminator."""
        label = jnp.zeros(n * self.packing, jnp.int32)
        z = self._append_label(jnp.zeros((n * self.packing, self.latent_dim)), label)
        x = self._with_label(self.pack(jnp.zeros((n * self.packing, *self.shape))), label)
        return z[:n], x

    def _with_label(self, x: Float[Array, " packs *event"], label: Label) -> Float[Array, " packs *event"]:
        if self.condition != "concatenation":
            return x
        if not self.images:
            return self._append_label(x, label)
        planes = jax.nn.one_hot(label, self.classes)[:, None, None, :]
        return jnp.concatenate([x, jnp.broadcast_to(planes, (*x.shape[:-1], self.classes))], axis=-1)

    def _append_label(self, x: Float[Array, "batch dim"], label: Label) -> Float[Array, "batch more"]:
        return jnp.concatenate([x, jax.nn.one_hot(label, self.classes)], axis=-1) if self.classes else x
