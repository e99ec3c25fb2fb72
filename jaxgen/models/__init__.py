"""Model families, one a file: a frozen `Config` and `build(config, example) -> Model`.

`REGISTRY` is all that the command line and the tests know of models: a family is added by adding a line to it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxgen.game import Model
from jaxgen.models import autoencoder, cvae, gan, vae, vaegan
from jaxgen.typing import Batch


class Family(NamedTuple):
    """One family of models.

    Attributes:
        config: the frozen dataclass of its choices.
        build: `(config, example) -> model`.
        description: one line for the list of families.
    """

    config: type
    build: Callable[[Any, Batch], Model]
    description: str


REGISTRY: dict[str, Family] = {
    "autoencoder": Family(
        autoencoder.Config, autoencoder.build, "autoencoder: linear, fully connected, convolutional; denoising, sparse"
    ),
    "cvae": Family(cvae.Config, cvae.build, "conditional variational autoencoder (Sohn et al. 2015)"),
    "gan": Family(gan.Config, gan.build, "generative adversarial network: DCGAN, WGAN-GP, fully connected"),
    "vae": Family(vae.Config, vae.build, "variational autoencoder (Kingma & Welling 2014)"),
    "vaegan": Family(
        vaegan.Config, vaegan.build, "VAE/GAN, similarity learned by a discriminator (Larsen et al. 2016)"
    ),
}
