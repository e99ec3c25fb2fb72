"""The cost of a step that is not run: counts that follow from the shapes, in every phase."""

import jax
import numpy as np
import pytest

from jaxgen.memory import bytes_of
from jaxgen.models import REGISTRY
from jaxgen.runs import RunConfig
from jaxgen.runs.preparation import prepare_run
from jaxgen.runs.step_cost import step_costs


def costs_of(tmp_path, family, *, steps=10, batch_size=10, **options):
    config = RunConfig(REGISTRY[family].config(**options), steps=steps, batch_size=batch_size)
    prepared = prepare_run(tmp_path / "run", family, config)
    return step_costs(prepared), prepared


def test_products_of_an_autoencoder_are_those_of_its_layers(tmp_path):
    """Forward, by the weights, and by the inputs of all layers but the first of each pass."""
    [found], prepared = costs_of(tmp_path, "autoencoder", hidden=(7,), latent_dim=3, architecture="mlp")
    layers = [64 * 7, 7 * 3, 3 * 7, 7 * 64]
    assert found.products == 2 * 10 * (3 * sum(layers) - layers[0])
    assert found.mean_products == found.products
    assert set(found.lowered) == {"cpu", "cuda", "tpu"}
    for platform in found.lowered:
        assert 0.5 < found.share(platform) < 1
        assert found.lowered[platform].bytes > bytes_of(prepared.data) / len(prepared.data["image"]) * 10
    state = jax.eval_shape(prepared.model.init, jax.random.key(0), prepared.description.example)
    assert bytes_of(state) < found.memory < 5 * bytes_of(state)
    assert not (tmp_path / "run").exists()


def test_every_update_of_a_step_counts(tmp_path):
    options = {"architecture": "mlp", "hidden": (6,), "latent_dim": 2, "loss": "wasserstein", "clip": 0.1}
    counts = [
        costs_of(tmp_path, "gan", discriminator_updates=updates, **options)[0][0].products for updates in (1, 3, 5)
    ]
    assert counts[1] - counts[0] == counts[2] - counts[1] > 0


def test_products_are_most_operations_and_never_more_where_steps_have_loops_and_images_have_padding(tmp_path):
    options = {"size": 8, "width": 4, "latent_dim": 4, "shared_dim": 4, "attention": ()}
    [found], _ = costs_of(tmp_path, "biggan", batch_size=12, discriminator_updates=4, accumulations=3, **options)
    assert found.mean_products == found.products  # No regularizer is lazy.
    for platform in found.lowered:
        assert 0.5 < found.share(platform) < 1, (platform, found.share(platform))


@pytest.mark.usefixtures("convolutions_by_xla")
def test_phases_have_their_own_batch_sizes_and_more_products_for_larger_images(tmp_path):
    phases = {"start": 4, "stabilize": 40, "fade": 40, "batch_sizes": (12, 8), "group": 4}
    found, _ = costs_of(tmp_path, "progressive", batch_size=4, steps=50, base=16, largest=4, latent_dim=3, **phases)
    assert [(cost.phase, cost.batch_size) for cost in found] == [
        ("stable at 4", 12),
        ("fading in 8", 8),
        ("stable at 8", 4),
    ]
    per_example = np.array([cost.products / cost.batch_size for cost in found])
    assert per_example[0] < per_example[2] < per_example[1]
