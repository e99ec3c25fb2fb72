"""The training steps that are timed, each with its PyTorch twin.

A workload is added by writing a function from a width and a batch size to a `Workload`, and adding its result to this
list. Its twin is a function in `jaxgen.benchmark.pytorch`.
"""

from jaxgen.benchmark.workloads.autoencoder_workload import mlp_autoencoder
from jaxgen.benchmark.workloads.biggan_workload import biggan
from jaxgen.benchmark.workloads.classifier_workload import classifier
from jaxgen.benchmark.workloads.gan_workloads import dcgan, ring_gan, wgan_gp
from jaxgen.benchmark.workloads.progressive_workload import progressive
from jaxgen.benchmark.workloads.stylegan2_workload import stylegan2
from jaxgen.benchmark.workloads.vae_workloads import conv_vae, mlp_vae
from jaxgen.benchmark.workloads.vaegan_workload import vaegan
from jaxgen.benchmark.workloads.workload import Workload

WORKLOADS: tuple[Workload, ...] = (
    mlp_autoencoder(),
    mlp_vae(),
    conv_vae("conv VAE 28", (28, 28, 1), steps=30),
    conv_vae("conv VAE 32", (32, 32, 3), steps=25),
    ring_gan(),
    dcgan("DCGAN 28", (28, 28, 1), steps=12, seeds=True),
    dcgan("DCGAN 64", (64, 64, 3), steps=3),
    wgan_gp("WGAN-GP 28", (28, 28, 1), steps=4),
    vaegan("VAE/GAN 28", (28, 28, 1), steps=8),
    classifier(),
    stylegan2("StyleGAN2 32", steps=16),
    biggan("BigGAN 28", steps=8),
    progressive("PGGAN 32", steps=8),
)
