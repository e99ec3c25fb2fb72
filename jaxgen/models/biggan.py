"""BigGAN and BigGAN-deep (Brock, Donahue & Simonyan 2019, arXiv:1809.11096), as in the authors' PyTorch code.

    discriminator:   mean of max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))   + weight |W W' * (1 - I)|^2
    generator:       mean of -D(G(z, c), c)                                    + weight |W W' * (1 - I)|^2

x is an image of the class y; z is normal, and the class c of a generated image is drawn uniformly. In a step the
discriminator makes its updates, then the generator its own. Samples come from a moving average of the generator. The
networks, with spectral normalization in all layers, are those of `jaxgen.nn.biggan_networks` and
`jaxgen.nn.biggan_deep_networks`; options are in `jaxgen.models.biggan_config`.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict

from jaxgen._arrays import check_integers, is_known
from jaxgen.averaging import Average, constant_decay, with_averages
from jaxgen.game import Model, Player, State, game
from jaxgen.losses import hinge, orthogonal_penalty
from jaxgen.models.biggan_config import Config as Config
from jaxgen.models.biggan_pair import Networks, networks_for
from jaxgen.models.checked_model import check_call, checked
from jaxgen.models.full_size import without_border
from jaxgen.models.labels import Labels, check_conditional, each_label
from jaxgen.models.networks import standing_statistics
from jaxgen.models.optimizer import freeze_networks, make_optimizer, optimizer_of_discriminator
from jaxgen.models.preprocessing import from_signed
from jaxgen.models.validation import check_build, check_positive
from jaxgen.typing import Array, Batch, Float, Int, KeyArray, Metrics, Params, Scalar, Stats

STANDING_BATCH = 64
"""Number of samples in a batch for standing statistics, where it is not given."""


def build(config: Config, example: Batch) -> Model:
    """Build BigGAN for images of the shape of an example.

    Args:
        config: options.
        example: batch of any size that shows the shape of the images and the number of classes.

    Returns:
        The model. `sample(key, state, n)` gives images in [0, 1]; a conditional model takes `label=...`, one for all or
        one for each, and cycles through the classes without it. `decode` does the same with given latents. With
        `truncation=t`, coordinates of latents beyond t are drawn again: less variety, and higher quality. `evaluate`
        gives, for every real image and one generated image beside it, the discriminator's `real_output` and
        `fake_output` and its `discriminator_loss` without the penalty.

    Raises:
        InputError: if the data are no images of a size that the networks can have, or have no labels and the model is
            conditional.

    Example:
        >>> import numpy as np
        >>> data = {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.arange(4)}
        >>> model = build(Config(width=1, latent_dim=2, shared_dim=2), data)
        >>> state = model.init(jax.random.key(0), data)
        >>> model.sample(jax.random.key(1), state, 3, label=1, truncation=0.5).shape
        (3, 8, 8, 1)
    """
    check_build(config, Config, example)
    networks = networks_for(config, example)
    players = _players(Objective(networks, config))
    init, step = game(networks.init, players, ema={"generator": _average(networks, config)})
    model = Model(
        init=init,
        step=step,
        players=players,
        sample=partial(sample, networks, config),
        decode=partial(decode, networks, config),
        evaluate=partial(evaluate, networks, config),
        sample_latent=networks.sample_latent,
        conditions=("label",) if networks.conditional else (),
        latent_options=("truncation",),
    )
    classes = networks.classes if networks.conditional else None
    return checked(model, example, latent_dim=networks.latent_dim, classes=classes, conditions=("label",))


class Objective(NamedTuple):
    """Networks and options: what the losses depend on."""

    networks: Networks
    config: Config


def discriminator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the discriminator's loss: the mean of `max(0, 1 - D(x, y)) + max(0, 1 + D(G(z, c), c))`, and the penalty.

    Generated and real images are one batch of the discriminator, which makes one step of the power iteration for both.
    Generating images in training updates the statistics of the generator.

    Args:
        objective: networks and options.
        key: PRNG key of latents and classes.
        params: parameters of both networks.
        state: state of the training.
        batch: real images.

    Returns:
        The loss, the new statistics of both networks, and metrics.

    Reference:
        Lim & Ye 2017, arXiv:1705.02894, and Miyato et al. 2018, arXiv:1802.05957, equation 16 (the hinge loss).
    """
    networks = objective.networks
    real = networks.real(batch)
    z, drawn = networks.sample_inputs(key, len(real))
    fake, of_generator = networks.generate(z, drawn, params, state.stats, train=True)
    both, labels = jnp.concatenate([fake, real]), jnp.concatenate([drawn, networks.label(batch)])
    logits, of_discriminator = networks.discriminate(both, labels, params, state.stats, train=True)
    of_fake, of_real = jnp.split(logits, 2)
    value = hinge.discriminator(of_real, of_fake).mean()
    metrics = {"adversarial_loss": value, "real_output": of_real.mean(), "fake_output": of_fake.mean()}
    penalty, of_weights = _weighted_penalty(objective.config.discriminator_orthogonal, params["discriminator"])
    return value + penalty, (of_generator | of_discriminator, metrics | of_weights)


def generator_loss(
    objective: Objective, key: KeyArray, params: Params, state: State, batch: Batch
) -> tuple[Array, tuple[Stats, Metrics]]:
    """Compute the generator's loss on as many new images as there are real ones: the mean of `-D(G(z, c), c)`.

    Args:
        objective: networks and options.
        key: PRNG key of latents and classes.
        params: parameters of both networks.
        state: state of the training.
        batch: real images, for their number.

    Returns:
        The loss with the penalty, the new statistics of both networks, and metrics.
    """
    networks = objective.networks
    z, drawn = networks.sample_inputs(key, len(batch["image"]))
    fake, of_generator = networks.generate(z, drawn, params, state.stats, train=True)
    logits, of_discriminator = networks.discriminate(fake, drawn, params, state.stats, train=True)
    value = hinge.generator(logits).mean()
    penalty, of_weights = _weighted_penalty(objective.config.orthogonal, params["generator"])
    metrics = {"adversarial_loss": value, "fake_output": logits.mean()}
    return value + penalty, (of_generator | of_discriminator, metrics | of_weights)


def orthogonal_penalty_of(params: Params) -> Float[Array, ""]:
    """Compute the orthogonal penalty on all matrices of a network but the embedding that the generator shares.

    Those are kernels of convolutions and dense layers, gains and biases of classes, and the discriminator's embedding,
    with one row per output or class, before spectral normalization. The authors' code adds half of the gradient of this
    penalty, so that a weight of 1e-4 in it is one of 5e-5 here.

    Args:
        params: parameters of one network.

    Returns:
        The sum of `jaxgen.losses.orthogonal_penalty`, without its weight.

    Reference:
        Brock et al. 2019, arXiv:1809.11096, equation 3.

    Example:
        >>> kernel = jnp.array([[1.0, 2.0], [0.0, 5.0]])
        >>> orthogonal_penalty_of({"linear": {"kernel": kernel}, "shared": {"embedding": kernel}})
        Array(8., dtype=float32)
    """
    matrices = [
        leaf.T if path[-1] == "embedding" else leaf  # Its rows are classes, and those of a kernel are inputs.
        for path, leaf in flatten_dict(params).items()
        if leaf.ndim > 1 and path[0] != "shared"
    ]
    return sum((orthogonal_penalty(matrix) for matrix in matrices), jnp.zeros(()))


def sample(
    networks: Networks,
    config: Config,
    key: KeyArray,
    state: State,
    n: int,
    *,
    label: Labels | None = None,
    truncation: Scalar | None = None,
) -> Float[Array, "n height width channels"]:
    """Return n generated images in [0, 1].

    Reference:
        Brock et al. 2019, arXiv:1809.11096, section 3.1 (the truncation trick).
    """
    return decode(networks, config, state, networks.sample_latent(key, n, truncation=truncation), label=label)


def decode(
    networks: Networks, config: Config, state: State, latent: Float[Array, "n latent"], *, label: Labels | None = None
) -> Float[Array, "n height width channels"]:
    """Return the images of given latents by the averaged generator."""
    check_conditional(label, conditional=networks.conditional)
    labels = each_label(label, len(latent), networks.classes)
    images = _generated(networks, config, latent, labels, state)
    return from_signed(without_border(images, networks.shape))


def evaluate(networks: Networks, config: Config, key: KeyArray, state: State, batch: Batch) -> Metrics:
    """Return the discriminator's outputs and loss for each real image and one generated image of its class."""
    real, label = networks.real(batch), networks.label(batch)
    fake = _generated(networks, config, networks.sample_latent(key, len(real)), label, state)
    of_real, _ = networks.discriminate(real, label, state.params, state.stats, train=False)
    of_fake, _ = networks.discriminate(fake, label, state.params, state.stats, train=False)
    loss = hinge.discriminator(of_real, of_fake)
    return {"discriminator_loss": loss, "real_output": of_real, "fake_output": of_fake}


def with_standing_statistics(
    key: KeyArray, config: Config, example: Batch, state: State, *, batches: int = 16, batch_size: int = STANDING_BATCH
) -> State:
    """Return the state whose samples use standing statistics: means over the statistics of batches of new samples.

    The samples are those of the averaged generator, whose running statistics they replace.

    Args:
        key: PRNG key of latents and classes.
        config: options of the model; `statistics` is "running", as others would be computed again.
        example: batch that shows the shape of the images and the number of classes.
        state: state of the model.
        batches: number of batches.
        batch_size: number of samples in each.

    Returns:
        The state for sampling and evaluation; the training goes on from the other one.

    Raises:
        InputError: if an argument is of another type, or a number is not positive.

    Reference:
        Brock et al. 2019, arXiv:1809.11096, appendix C.1.

    Example:
        >>> import numpy as np
        >>> data = {"image": np.zeros((4, 8, 8, 1), np.uint8), "label": np.arange(4)}
        >>> config = Config(width=1, latent_dim=2, shared_dim=2)
        >>> state = build(config, data).init(jax.random.key(0), data)
        >>> new = with_standing_statistics(jax.random.key(1), config, data, state, batches=2)
        >>> jax.tree.structure(new) == jax.tree.structure(state)
        True
    """
    check_build(config, Config, example)
    check_call(key, state)
    check_integers(batches=batches, batch_size=batch_size)
    check_positive(batches=batches, batch_size=batch_size)
    return _standing(networks_for(config, example), key, state, batches, batch_size)


def _standing(networks: Networks, key: KeyArray, state: State, batches: int, batch_size: int) -> State:
    """The state with standing statistics of the generator of which samples are drawn."""
    input_key, dropout_key = jax.random.split(key)
    inputs = jax.vmap(lambda key: networks.sample_inputs(key, batch_size))(jax.random.split(input_key, batches))
    averaged = state.ema.get("generator")
    variables = averaged or {"params": state.params["generator"], **state.stats["generator"]}
    found = standing_statistics(dropout_key, networks.pair.generator, variables, *inputs)
    if averaged is not None:
        return state.replace(ema={**state.ema, "generator": found})
    stats = {kind: value for kind, value in found.items() if kind != "params"}
    return state.replace(stats={**state.stats, "generator": stats})


def _generated(
    networks: Networks, config: Config, z: Float[Array, "n latent"], label: Int[Array, " n"], state: State
) -> Float[Array, "n size size channels"]:
    """The images of the averaged generator."""
    if config.statistics == "standing":
        # Always the same samples, so that the same latent has the same image.
        state = _standing(networks, jax.random.key(0), state, config.standing_batches, STANDING_BATCH)
    state = with_averages(state)
    return networks.generate(z, label, state.params, state.stats, train=False)[0]


def _weighted_penalty(weight: float, params: Params) -> tuple[Float[Array, ""], Metrics]:
    """The weighted orthogonal penalty, and the penalty as a metric; nothing where the weight is 0."""
    if is_known(weight) and weight == 0:
        return jnp.zeros(()), {}
    penalty = orthogonal_penalty_of(params)
    return weight * penalty, {"orthogonal_penalty": penalty}


def _players(objective: Objective) -> tuple[Player, ...]:
    """The discriminator and then the generator."""
    config = objective.config
    discriminator = Player(
        name="discriminator",
        trains=("discriminator",),
        loss=partial(discriminator_loss, objective),
        tx=make_optimizer(optimizer_of_discriminator(config)),
        updates=config.discriminator_updates,
        accumulations=config.accumulations,
    )
    generator = Player(
        name="generator",
        trains=("generator",),
        loss=partial(generator_loss, objective),
        tx=make_optimizer(config),
        accumulations=config.accumulations,
    )
    return freeze_networks((discriminator, generator), config.freeze)


def _average(networks: Networks, config: Config) -> Average:
    """The moving average of the generator, and of its statistics as in the authors' code."""

    def recompute(key: KeyArray, variables: Params, batch: Batch) -> Stats:
        z, label = networks.sample_inputs(key, max(1, len(batch["image"]) // config.accumulations))
        params = {"generator": variables["params"]}
        stats = {"generator": {kind: value for kind, value in variables.items() if kind != "params"}}
        found: Stats = networks.generate(z, label, params, stats, train=True)[1]["generator"]
        return found

    return Average(
        constant_decay(config.ema, start=config.ema_start - 1),
        collections=("batch_stats", "spectral"),
        recompute=recompute if config.statistics == "recomputed" else None,
    )
