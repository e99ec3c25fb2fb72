"""The config of a run: values that it refuses, its keys and its paths."""

import pytest

from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.runs.config import RunConfig, with_absolute_paths
from jaxgen.training.seeds import seed_keys
from tests.runs.descriptions import description


def test_numbers_beyond_32_bits_are_refused():
    with pytest.raises(InputError, match=r"--batch-size must be below 2\^31, got 1000000000000"):
        RunConfig(None, batch_size=10**12)
    with pytest.raises(InputError, match=r"latent_dim must be below 2\^31, got 1000000000000"):
        REGISTRY["vae"].config(latent_dim=10**12)
    with pytest.raises(InputError, match=r"warmup_steps must be below 2\^31, got 1000000000000"):
        REGISTRY["vae"].config(warmup_steps=10**12)


@pytest.mark.parametrize("name", ["steps", "batch_size", "seeds", "log_every", "checkpoint_every", "image_every"])
def test_counts_must_be_positive(name):
    with pytest.raises(InputError, match=f"--{name.replace('_', '-')} must be at least 1, got 0"):
        description(**{name: 0})


@pytest.mark.parametrize("seed", [-1, 2**31])
def test_seeds_must_be_32_bit_integers(seed):
    with pytest.raises(InputError, match=f"--seed must be between 0 and 2147483647, got {seed}"):
        description(seed=seed)


def test_keys_are_those_of_consecutive_seeds():
    for seeds, count in ((None, 1), (1, 1), (3, 3)):
        assert (RunConfig(None, seed=5, seeds=seeds).keys == seed_keys(5, count)).all()


def test_paths_of_a_config_become_absolute_and_names_of_data_sets_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "ring").mkdir()
    config = with_absolute_paths(RunConfig(None, data="images", data_dir="elsewhere"))
    assert (config.data, config.data_dir) == (str(tmp_path / "images"), str(tmp_path / "elsewhere"))
    for data in ("ring", "absent"):
        assert with_absolute_paths(RunConfig(None, data=data)) == RunConfig(None, data=data)
