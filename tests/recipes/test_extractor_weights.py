"""Weights of the classifiers in the package: those of a run, in the file that the extractor reads."""

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from jaxgen.data import example, load
from jaxgen.metrics.extractors.packaged import PACKAGED, apply_classifier
from jaxgen.models import REGISTRY
from jaxgen.recipes.extractor_weights import EXTRACTOR_RECIPES, weights
from jaxgen.runs import Run
from jaxgen.training.states import initial_state


@pytest.mark.usefixtures("convolutions_by_xla")
def test_weights_give_the_logits_of_the_run_after_a_round_trip_through_the_file(tmp_path):
    digits = load("digits", split="test")
    config = EXTRACTOR_RECIPES["extractor-digits"].run.config
    model = REGISTRY["classifier"].build(config.model_config, example(digits))
    state = initial_state(model, config.keys, example(digits))
    run = Run(tmp_path, "classifier", config, example(digits), model, state, 0, {}, ())
    images = {"image": digits["image"][:20], "label": digits["label"][:20]}
    params = unflatten_dict(load_tensors(save_tensors(weights(run))), sep="/")
    found = jax.jit(apply_classifier)(params, images["image"])
    np.testing.assert_allclose(found.logits, run.predict(images), rtol=1e-4, atol=1e-4)
    assert found.features.shape == (20, 96)


def test_there_is_a_recipe_for_every_extractor_in_the_package():
    trained = {recipe.run.name: recipe.run.config for recipe in EXTRACTOR_RECIPES.values()}
    assert {name: config.data for name, config in trained.items()} == {
        name: packaged.data for name, packaged in PACKAGED.items()
    }
