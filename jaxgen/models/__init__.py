"""Model families, one per file: a frozen `Config` and `build(config, example) -> Model`.

`REGISTRY` holds the families of the package by name: a family is added by adding an entry to `FAMILIES`. `PRESETS` are
published combinations of options under their names. `load_family` loads a family from outside the package.
"""

import contextlib
import sys
import traceback
from collections.abc import Iterator
from typing import Any

from jaxgen.errors import InputError, check_known
from jaxgen.game import Model
from jaxgen.models import (
    autoencoder,
    biggan,
    biggan_config,
    classifier,
    cvae,
    gan,
    gan_config,
    progressive,
    style_transfer,
    stylegan,
    stylegan2,
    vae,
    vaegan,
)
from jaxgen.models.family import Family, describe_error, load_family
from jaxgen.models.presets import PRESETS, Preset
from jaxgen.typing import Batch

__all__ = [
    "PRESETS",
    "REGISTRY",
    "Family",
    "Preset",
    "build_model",
    "family_errors",
    "load_family",
    "published_batch_size",
    "starting_point",
]

FAMILIES = (
    Family(
        name="autoencoder",
        config=autoencoder.Config,
        build=autoencoder.build,
        summary="autoencoder: linear, fully connected, convolutional; denoising, sparse",
    ),
    Family(
        name="biggan",
        config=biggan_config.Config,
        build=biggan.build,
        summary="BigGAN: classes in every layer, spectral normalization, hinge loss (Brock et al. 2019)",
    ),
    Family(
        name="classifier",
        config=classifier.Config,
        build=classifier.build,
        summary="classifier: fully connected, convolutional, residual",
    ),
    Family(
        name="cvae",
        config=cvae.Config,
        build=cvae.build,
        summary="conditional variational autoencoder (Sohn et al. 2015)",
    ),
    Family(
        name="gan",
        config=gan_config.Config,
        build=gan.build,
        summary="generative adversarial network, composed from parts (Goodfellow et al. 2014)",
        complete=gan_config.completed,
    ),
    Family(
        name="progressive",
        config=progressive.Config,
        build=progressive.build,
        summary="progressive growing of GANs, WGAN-GP on images that grow (Karras et al. 2018)",
    ),
    Family(
        name="style_transfer",
        config=style_transfer.Config,
        build=style_transfer.build,
        summary="arbitrary style transfer by AdaIN, with a fixed VGG-19 as the encoder (Huang & Belongie 2017)",
    ),
    Family(
        name="stylegan",
        config=stylegan.Config,
        build=stylegan.build,
        summary="StyleGAN: styles by AdaIN, noise, images that grow (Karras et al. 2019)",
    ),
    Family(
        name="stylegan2",
        config=stylegan2.Config,
        build=stylegan2.build,
        summary="StyleGAN2: styles in every layer, lazy regularization (Karras et al. 2020)",
    ),
    Family(name="vae", config=vae.Config, build=vae.build, summary="variational autoencoder (Kingma & Welling 2014)"),
    Family(
        name="vaegan",
        config=vaegan.Config,
        build=vaegan.build,
        summary="VAE/GAN, distance of images learned by a discriminator (Larsen et al. 2016)",
    ),
)

REGISTRY: dict[str, Family] = {family.name: family for family in FAMILIES}
"""Name of a family of the package -> the family."""


def starting_point(name: str) -> tuple[Family, Any]:
    """Return the family and the options that the name of a family or of a preset stands for.

    Args:
        name: name in `REGISTRY` or `PRESETS`.

    Returns:
        The family, and its options: the defaults, or the published ones.

    Raises:
        InputError: if there is no such name.

    Example:
        >>> family, config = starting_point("wgan-gp")
        >>> family.name, config.loss, config.discriminator_updates
        ('gan', 'wasserstein', 5)
    """
    check_known("model", name, [*REGISTRY, *PRESETS])
    if name in REGISTRY:
        return REGISTRY[name], REGISTRY[name].config()
    return REGISTRY[PRESETS[name].family], PRESETS[name].config


def published_batch_size(name: str) -> int | None:
    """Return the batch size that belongs to the name of a preset.

    Args:
        name: name in `REGISTRY` or `PRESETS`.

    Returns:
        The published number of examples in one update; None for a family, or where none is published.

    Example:
        >>> published_batch_size("wgan-gp"), published_batch_size("gan")
        (64, None)
    """
    return PRESETS[name].batch_size if name in PRESETS else None


def build_model(family: Family, config: Any, example: Batch) -> Model:
    """Build the model of a family; what a family from outside the package raises becomes one sentence.

    Args:
        family: family of the model.
        config: options of the family.
        example: batch of any size that shows the shape of the data.

    Returns:
        The model.

    Raises:
        InputError: if the options do not fit the data, or a family from outside the package fails.

    Example:
        >>> import numpy as np
        >>> family, config = starting_point("vae")
        >>> build_model(family, config, {"image": np.zeros((1, 8, 8, 1))}).players[0].name
        'vae'
    """
    with family_errors(family):
        return family.build(config, example)


@contextlib.contextmanager
def family_errors(family: Family) -> Iterator[None]:
    """Raise what the code of a family from outside the package raises as one sentence that names its file.

    Args:
        family: family whose functions are called in this context; errors of the package's own are not changed.

    Raises:
        InputError: in place of any other exception.

    Example:
        >>> with family_errors(Family("mine", object, None, "")):
        ...     {}["absent"]
        Traceback (most recent call last):
        jaxgen.errors.InputError: the family 'mine' fails: KeyError: 'absent'
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # Whatever the user's own code raises.
        if REGISTRY.get(family.name) is family:
            raise
        file = getattr(sys.modules.get(family.config.__module__), "__file__", None)
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        if isinstance(error, SystemExit) and not lines:  # Of the command line, as after --help.
            raise
        place = f" in {file}{f', line {lines[-1]},' if lines else ''}" if file else ""
        raise InputError(f"the family '{family.name}'{place} fails: {describe_error(error)}") from error
