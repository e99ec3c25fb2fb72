"""Model families, one a file: a frozen `Config` and `build(config, example) -> Model`.

`REGISTRY` is all that the command line and the tests know of models: a family is added by adding a line to it.
`PRESETS` are choices that were published together, under the names they have.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxgen.errors import check_known
from jaxgen.game import Model
from jaxgen.models import autoencoder, cvae, gan, gan_config, vae, vaegan
from jaxgen.models.presets import PRESETS, Preset
from jaxgen.typing import Batch

__all__ = ["PRESETS", "REGISTRY", "Family", "Preset", "starting_point"]


def as_they_are(choices: dict[str, Any], example: Batch) -> dict[str, Any]:
    """Leave saved choices as they are: what a family does whose `Config` has never refused more than before."""
    return choices


class Family(NamedTuple):
    """One family of models.

    Attributes:
        config: the frozen dataclass of its choices.
        build: `(config, example) -> model`.
        description: one line for the list of families.
        updated: `(choices, example) -> choices`, those that a run has saved as the dataclass takes them today.
    """

    config: type
    build: Callable[[Any, Batch], Model]
    description: str
    updated: Callable[[dict[str, Any], Batch], dict[str, Any]] = as_they_are


REGISTRY: dict[str, Family] = {
    "autoencoder": Family(
        autoencoder.Config, autoencoder.build, "autoencoder: linear, fully connected, convolutional; denoising, sparse"
    ),
    "cvae": Family(cvae.Config, cvae.build, "conditional variational autoencoder (Sohn et al. 2015)"),
    "gan": Family(
        gan.Config,
        gan.build,
        "generative adversarial network, composed from parts (Goodfellow et al. 2014)",
        gan_config.updated,
    ),
    "vae": Family(vae.Config, vae.build, "variational autoencoder (Kingma & Welling 2014)"),
    "vaegan": Family(
        vaegan.Config, vaegan.build, "VAE/GAN, similarity learned by a discriminator (Larsen et al. 2016)"
    ),
}


def starting_point(name: str) -> tuple[str, Any]:
    """What the name of a family or a preset stands for.

    Args:
        name: in `REGISTRY` or `PRESETS`.

    Returns:
        The name of the family, and a config: with the defaults of the family, or as it was published.

    Raises:
        InputError: if there is no such name.

    Example:
        >>> family, config = starting_point("wgan-gp")
        >>> family, config.loss, config.discriminator_updates
        ('gan', 'wasserstein', 5)
    """
    check_known("model", name, [*REGISTRY, *PRESETS])
    if name in REGISTRY:
        return name, REGISTRY[name].config()
    return PRESETS[name].family, PRESETS[name].config
