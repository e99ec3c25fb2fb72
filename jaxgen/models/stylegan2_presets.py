"""Published configurations of StyleGAN2: each is a `Config` of `jaxgen.models.stylegan2`.

The half-life of the moving average is in images. Where nothing else is stated, a preset has images of its own size,
e.g. by `--image-size 256`.
"""

from dataclasses import replace

from jaxgen.models.preset import Preset
from jaxgen.models.stylegan2 import Config

CODE = "Karras et al. 2020, arXiv:2006.06676"

CONFIG_F = Config(
    base=32768,
    largest=512,
    latent_dim=512,
    style_dim=512,
    mapping_layers=8,
    learning_rate=0.002,
    gamma=10.0,
    ema_half_life=10_000,
    ema_ramp_up=None,
)

WITH_AUGMENTATION = replace(CONFIG_F, augmentation="adaptive")
"""As the authors' later code trains, where no augmentation is given."""


def _preset(config: Config, batch_size: int, reference: str) -> Preset:
    summary = f"styles in every layer, {config.size} x {config.size} images"
    return Preset(config, summary, reference, family="stylegan2", batch_size=batch_size)


STYLEGAN2_PRESETS: dict[str, Preset] = {
    "stylegan2-f-1024": _preset(
        replace(CONFIG_F, size=1024), 32, "Karras et al. 2020, arXiv:1912.04958, configuration F of table 1"
    ),
    "stylegan2-1024": _preset(
        replace(WITH_AUGMENTATION, size=1024, gamma=2.0),
        32,
        f"{CODE}, configuration for 1024 x 1024 images of the authors' code",
    ),
    "stylegan2-512": _preset(
        replace(WITH_AUGMENTATION, size=512, group=8, learning_rate=0.0025, gamma=0.5, ema_half_life=20_000),
        64,
        f"{CODE}, configuration for 512 x 512 images of the authors' code",
    ),
    "stylegan2-256": _preset(
        replace(
            WITH_AUGMENTATION, size=256, base=16384, group=8, learning_rate=0.0025, gamma=1.0, ema_half_life=20_000
        ),
        64,
        f"{CODE}, configuration for 256 x 256 images of the authors' code",
    ),
    "stylegan2-cifar10": _preset(
        Config(
            size=32,
            base=32768,
            largest=512,
            latent_dim=512,
            style_dim=512,
            discriminator_architecture="orig",
            group=32,
            gamma=0.01,
            mixing=0.0,
            path_length=0.0,
            augmentation="adaptive",
            ema_half_life=500_000,
        ),
        64,
        f"{CODE}, configuration for CIFAR-10 of the authors' code",
    ),
    "stylegan2-32": _preset(
        # With the weight that the code chooses, 0.0064, and path length regularization all samples of a training on
        # MNIST were alike after 60,000 images. With these options, and half of the channels, they were various after
        # 80,000.
        Config(size=32, gamma=1.0, path_length=0.0),
        32,
        f"the options that the code of {CODE} chooses for small images; smaller networks, a larger gradient penalty, "
        "no path length regularization",
    ),
}
