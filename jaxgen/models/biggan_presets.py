"""Published configurations of BigGAN: each is a `Config` of `jaxgen.models.biggan`.

They have the options of the scripts of the authors' PyTorch code, ajbrock/BigGAN-PyTorch. The paper, whose networks are
the same, has other ones:

                                          code                                  paper
    learning rates of G and of D          1e-4, 4e-4                            5e-5, 2e-4
    discriminator updates per step        1                                     2
    orthogonal penalty                    none                                  1e-4 on the generator
    epsilon of batch normalization        1e-5                                  1e-4 in the networks of TF Hub
    batch normalization                   of 256 images, 8 of these a batch     of the 2,048 images of a batch
    initial weights of deep networks      those of PyTorch (--skip_init)        orthogonal

The authors' code has no script for 256 x 256 images: those presets have the options for 128 x 128 and the dimension of
latents of the paper.
"""

from dataclasses import replace

from jaxgen.models.biggan_config import Config
from jaxgen.models.preset import Preset

PAPER = "Brock, Donahue & Simonyan 2019, arXiv:1809.11096"

IMAGENET = Config(
    size=128,
    width=96,
    latent_dim=120,
    shared_dim=128,
    attention=(64,),
    learning_rate=1e-4,
    discriminator_learning_rate=4e-4,
    discriminator_updates=1,
    accumulations=8,
    ema=0.9999,
    ema_start=20_000,
)
"""Of launch_BigGAN_bs256x8.sh."""

DEEP = replace(IMAGENET, deep=True, width=128, latent_dim=128, initialization="uniform")
"""Of launch_BigGAN_deep.sh."""


def _preset(config: Config, batch_size: int, reference: str) -> Preset:
    deep = "deep networks, " if config.deep else ""
    summary = f"{deep}classes in every layer, {config.size} x {config.size} images"
    return Preset(config, summary, reference, family="biggan", batch_size=batch_size)


BIGGAN_PRESETS: dict[str, Preset] = {
    "biggan-128": _preset(IMAGENET, 2048, f"{PAPER}, with the options of the authors' PyTorch code"),
    "biggan-256": _preset(
        replace(IMAGENET, size=256, latent_dim=140), 2048, f"{PAPER}, with the options of that code for 128 x 128"
    ),
    "biggan-deep-128": _preset(DEEP, 2048, f"{PAPER}, with the options of the authors' PyTorch code"),
    "biggan-deep-256": _preset(replace(DEEP, size=256), 2048, f"{PAPER}, with the options of that code for 128 x 128"),
    "biggan-cifar10": _preset(
        Config(
            size=32,
            width=64,
            latent_dim=128,
            hierarchical=False,
            shared_dim=0,
            initialization="normal",
            learning_rate=2e-4,
            eps=1e-8,
            spectral_eps=1e-8,
            discriminator_updates=4,
            ema=0.9999,
            ema_start=1_000,
        ),
        50,
        f"{PAPER}, configuration for CIFAR-10 of the authors' PyTorch code",
    ),
    "biggan-28": _preset(
        Config(size=28, width=8, shared_dim=32, statistics="recomputed"),
        64,
        f"{PAPER}, smaller networks for images of MNIST's size",
    ),
}
