"""The training steps that are timed, each with its PyTorch twin.

A workload is added by writing a function from a width and a batch size to a `Workload`, and adding its result to this
list.
"""

from workloads import autoencoder, classifier, gan, vae, vaegan
from workloads.workload import Workload

WORKLOADS: tuple[Workload, ...] = (
    autoencoder.mlp_autoencoder(),
    vae.mlp_vae(),
    vae.conv_vae("conv VAE 28", (28, 28, 1), steps=30),
    vae.conv_vae("conv VAE 32", (32, 32, 3), steps=25),
    gan.ring_gan(),
    gan.dcgan("DCGAN 28", (28, 28, 1), steps=12, seeds=True),
    gan.dcgan("DCGAN 64", (64, 64, 3), steps=3),
    gan.wgan_gp("WGAN-GP 28", (28, 28, 1), steps=4),
    vaegan.vaegan("VAE/GAN 28", (28, 28, 1), steps=8),
    classifier.classifier(),
)
