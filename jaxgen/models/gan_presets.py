"""Published GANs composed from parts: each is a `Config` of `jaxgen.models.gan` with the published options.

Differences from the paper are stated in the reference. Options that depend on the data (the dimension of the latent,
the architecture) are None where the paper does not fix them. Any option can be overridden, as in
`jaxgen train wgan-gp --data ring --hidden 16 16`.
"""

from jaxgen.models.gan_config import Config
from jaxgen.models.preset import Preset

GAN_PRESETS: dict[str, Preset] = {
    "dcgan": Preset(
        # The authors' code has the same width in both networks; the generator of figure 1 is twice as wide.
        Config(
            architecture="dcgan", width=64, latent_distribution="uniform", latent_dim=100, learning_rate=2e-4, b1=0.5
        ),
        "convolutions and batch normalization",
        "Radford, Metz & Chintala 2016, arXiv:1511.06434, section 4",
        batch_size=128,
    ),
    "wgan": Preset(
        Config(
            loss="wasserstein", clip=0.01, discriminator_updates=5, optimizer="rmsprop", learning_rate=5e-5, b2=0.99
        ),
        "Wasserstein distance, clipped weights, RMSProp",
        "Arjovsky, Chintala & Bottou 2017, arXiv:1701.07875, algorithm 1",
        batch_size=64,
    ),
    "wgan-gp": Preset(
        Config(loss="wasserstein", penalty="gradient", discriminator_updates=5, learning_rate=1e-4, b1=0.0, b2=0.9),
        "Wasserstein distance, gradient penalty",
        "Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1",
        batch_size=64,
    ),
    "sngan": Preset(
        Config(
            architecture="resnet",
            width=128,
            latent_dim=128,
            loss="hinge",
            generator_normalization="batch",
            discriminator_normalization="spectral",
            discriminator_updates=5,
            learning_rate=2e-4,
            b1=0.0,
            b2=0.9,
        ),
        "residual networks, spectral normalization, hinge loss",
        "Miyato et al. 2018, arXiv:1802.05957, table 4",
        batch_size=64,
    ),
    "lsgan": Preset(
        Config(loss="least_squares", learning_rate=2e-4, b1=0.5),
        "least-squares loss",
        "Mao et al. 2017, arXiv:1611.04076, equation 9 and section 4",
    ),
    "pacgan": Preset(
        Config(
            architecture="mlp",
            hidden=(400, 400, 400, 400),
            discriminator_hidden=(200, 200, 200),
            maxout=5,
            weight_scale=0.02,
            generator_normalization="batch",
            packing=2,
            learning_rate=1e-4,
            b1=0.8,
        ),
        "packing of two examples, maxout; for points",
        "Lin et al. 2018, arXiv:1712.04086, section 4.1",
        batch_size=100,
    ),
    "unrolled-gan": Preset(
        Config(
            architecture="mlp",
            hidden=(128, 128),
            discriminator_hidden=(128,),
            latent_dim=256,
            unrolled_steps=10,
            learning_rate=1e-4,
            b1=0.5,
        ),
        "generator loss after ten discriminator updates; for points",
        "Metz et al. 2017, arXiv:1611.02163, mixture of Gaussians, with the default activations and initial weights",
        batch_size=512,
    ),
    "cgan": Preset(
        Config(condition="concatenation", latent_distribution="uniform", latent_dim=100),
        "both networks conditioned on the class",
        "Mirza & Osindero 2014, arXiv:1411.1784, its networks and optimizer replaced by DCGAN's",
        batch_size=100,
    ),
    "acgan": Preset(
        Config(condition="auxiliary_classifier", latent_dim=110, learning_rate=2e-4, b1=0.5),
        "the discriminator also classifies",
        "Odena, Olah & Shlens 2017, arXiv:1610.09585, its networks replaced by DCGAN's",
        batch_size=100,
    ),
}
