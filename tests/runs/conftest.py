"""Trained runs that tests of several files use; a test that changes one works on a copy."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from jaxgen.models import vae
from jaxgen.runs import RunConfig, train
from tests.small_runs import LINEAR, LinearConfig, untrained

VAE = RunConfig(
    vae.Config(hidden=(16,), latent_dim=3),
    steps=60,
    batch_size=32,
    log_every=10,
    checkpoint_every=20,
    image_every=30,
)


@pytest.fixture(scope="session")
def fresh():
    """`fresh(family, seeds=None)`: a run on digits with two-dimensional latents, before its first step."""
    return untrained


@pytest.fixture(scope="session")
def vae_config():
    """Config of a small VAE."""
    return VAE


@pytest.fixture(scope="session")
def finished_vae(tmp_path_factory):
    """Folder of a run of `vae_config`."""
    folder = tmp_path_factory.mktemp("runs") / "vae"
    train(folder, "vae", VAE)
    return folder


@pytest.fixture(scope="session")
def linear_config():
    """Config of a family that is not part of the package and compiles quickly."""
    return RunConfig(LinearConfig(), steps=60, batch_size=32, log_every=10, checkpoint_every=20, image_every=60)


@pytest.fixture(scope="session")
def finished(tmp_path_factory, linear_config):
    """Folder of a run of `linear_config`."""
    folder = tmp_path_factory.mktemp("runs") / "linear"
    train(folder, LINEAR, linear_config)
    return folder


@pytest.fixture(scope="session")
def finished_two_seeds(tmp_path_factory, linear_config):
    """Folder of a run of `linear_config` with two seeds."""
    folder = tmp_path_factory.mktemp("runs") / "two_seeds"
    train(folder, LINEAR, dataclasses.replace(linear_config, seeds=2))
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the folder `finished`."""
    return Path(shutil.copytree(finished, tmp_path / "copy"))
