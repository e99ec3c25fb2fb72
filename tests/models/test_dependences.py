"""Options that have no effect beside others are refused, and only these: a step without them is the same program."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import PRESETS, REGISTRY
from jaxgen.models.dependences import without_effect
from jaxgen.runs import RunConfig, read_config
from jaxgen.runs.config_json import RunDescription, write_config
from jaxgen.runs.preparation import prepare_run

IMAGES = {"image": np.zeros((4, 16, 16, 1), np.uint8), "label": np.arange(4)}
POINTS = {"point": np.zeros((4, 2), np.float32)}

OFF = [
    ("stylegan2", {"pipeline": "bg"}, {"augmentation": "adaptive"}),
    ("stylegan2", {"target": 0.5}, {"augmentation": "adaptive"}),
    ("stylegan2", {"adjustment": 1000, "augmentation": "diff"}, {"augmentation": "adaptive"}),
    ("stylegan2", {"policy": ("color",)}, {"augmentation": "diff"}),
    ("stylegan2", {"path_length_every": 8, "path_length": 0.0}, {"path_length": 1.0}),
    ("stylegan2", {"path_length_reduction": 4, "path_length": 0.0}, {"path_length": 1.0}),
    ("stylegan2", {"penalty_every": 8, "gamma": 0.0}, {"gamma": None}),
    ("stylegan2", {"mapping_width": 8, "mapping_layers": 1}, {"mapping_layers": 2}),
    ("stylegan", {"mapping_width": 8, "mapping_layers": 1}, {"mapping_layers": 2}),
    ("stylegan", {"stabilize": 100, "start": 16}, {"start": 8}),
    ("progressive", {"fade": 100, "start": 16}, {"start": 4}),
    ("progressive", {"batch_sizes": (8,), "start": 16}, {"start": 8}),
    ("progressive", {"batch_sizes": (8, 8, 8, 8)}, {"batch_sizes": (8, 8, 8)}),
    ("progressive", {"batch_sizes": (8, 8, 8), "fade": 0}, {"fade": 1}),
    ("progressive", {"learning_rate_factors": (1.0, 2.0, 3.0, 4.0)}, {"learning_rate_factors": (1.0, 2.0, 3.0)}),
    ("biggan", {"hierarchical": False, "deep": True}, {"deep": False}),
    ("biggan", {"momentum": 0.5}, {"optimizer": "sgd"}),
    ("gan", {"maxout": 2, "hidden": (4,), "discriminator_hidden": ()}, {"discriminator_hidden": (4,)}),
    ("gan", {"momentum": 0.5, "discriminator_optimizer": "rmsprop"}, {"discriminator_optimizer": "sgd"}),
    ("gan", {"discriminator_momentum": 0.5}, {"discriminator_optimizer": "sgd"}),
    ("gan", {"discriminator_b2": 0.5, "discriminator_optimizer": "sgd"}, {"discriminator_optimizer": "rmsprop"}),
    ("vaegan", {"b1": 0.5}, {"discriminator_optimizer": "adam"}),
    ("vae", {"eps": 1e-3, "optimizer": "sgd"}, {"optimizer": "rmsprop"}),
    ("vae", {"scale": 0.5}, {"likelihood": "laplace"}),
    ("cvae", {"hidden": (8,), "architecture": "conv"}, {"architecture": "mlp"}),
    ("autoencoder", {"width": 8}, {"architecture": "conv"}),
    ("autoencoder", {"corruption_level": 0.5}, {"corruption": "masking"}),
    ("classifier", {"hidden": (8,)}, {"architecture": "mlp"}),
    ("classifier", {"blocks": 2}, {"architecture": "resnet"}),
]
"""Family, an option without effect beside others, and a change with which it has one."""


def refused(family, example=IMAGES, **options):
    config = REGISTRY[family].config(**options)
    return without_effect(config, config.dependences(example))


@pytest.mark.parametrize(("family", "options", "change"), OFF)
def test_the_option_is_refused_where_it_has_no_effect_and_only_there(family, options, change):
    name = next(iter(options))
    found = refused(family, **options)
    assert list(found) == [name]
    assert found[name].startswith(f"{name} applies to ")
    assert "\n" not in found[name]
    assert refused(family, **{**options, **change}) == {}


@pytest.mark.parametrize("family", REGISTRY)
def test_default_options_are_not_refused(family):
    assert refused(family) == {}


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_not_refused(name):
    config = PRESETS[name].config
    size = getattr(config, "size", None) or 16
    example = {"image": np.zeros((1, size, size, 3), np.uint8), "label": np.zeros(1, int)}
    assert without_effect(config, config.dependences(example), [config]) == {}


def test_options_of_a_preset_may_have_no_effect_beside_those_that_are_given():
    wgan_gp = PRESETS["wgan-gp"].config
    options = {"optimizer": "sgd", "b1": None, "loss": "hinge"}
    config = REGISTRY["gan"].config(**{**vars(wgan_gp), **options})
    assert without_effect(config, config.dependences(POINTS), [wgan_gp]) == {}
    assert list(without_effect(config, config.dependences(POINTS))) == ["b2"]


@pytest.mark.parametrize(
    ("family", "off", "option", "example"),
    [
        ("gan", {"optimizer": "sgd", "b1": None, "hidden": (4,)}, {"b2": 0.5}, POINTS),
        ("gan", {"hidden": (4,), "discriminator_hidden": ()}, {"maxout": 3}, POINTS),
        ("autoencoder", {"hidden": (4,)}, {"corruption_level": 0.5}, POINTS),
        ("vae", {"hidden": (4,), "optimizer": "sgd"}, {"eps": 0.5}, IMAGES),
    ],
)
def test_a_step_with_a_refused_option_is_the_same_program(family, off, option, example):
    def program(**options):
        model = REGISTRY[family].build(REGISTRY[family].config(**off, **options), example)
        state = jax.eval_shape(model.init, jax.random.key(0), example)
        return str(jax.make_jaxpr(model.step)(jax.random.key(0), state, example))

    assert list(refused(family, example, **off, **option)) == list(option)
    assert program(**option) == program()


class TestPreparation:
    CONFIG = RunConfig(
        REGISTRY["stylegan2"].config(
            base=16, largest=4, latent_dim=2, style_dim=2, path_length=0.0, path_length_every=8
        ),
        steps=1,
        batch_size=4,
    )
    SENTENCE = "path_length_every applies to the path length penalty: leave it out, or give a path_length above 0"

    def test_a_new_training_is_refused_and_an_old_one_is_loaded_and_resumed(self, tmp_path):
        with pytest.raises(InputError, match=f"^{self.SENTENCE}$"):
            prepare_run(tmp_path / "new", "stylegan2", self.CONFIG)
        shown = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9], np.int32)}
        (tmp_path / "old").mkdir()
        write_config(tmp_path / "old", RunDescription("stylegan2", self.CONFIG, shown))
        assert read_config(tmp_path / "old").config == self.CONFIG
        prepared = prepare_run(tmp_path / "old", "stylegan2", self.CONFIG, resume=True)
        assert prepared.config.model_config == self.CONFIG.model_config

    def test_a_swept_option_needs_an_effect_at_one_point(self, tmp_path):
        on = dataclasses.replace(
            self.CONFIG, model_config=dataclasses.replace(self.CONFIG.model_config, path_length=2.0)
        )
        prepared = prepare_run(tmp_path, "stylegan2", self.CONFIG, variants=[self.CONFIG, on])
        assert prepared.config.model_config.path_length == 0
        with pytest.raises(InputError, match=self.SENTENCE):
            prepare_run(tmp_path, "stylegan2", self.CONFIG, variants=[self.CONFIG, self.CONFIG])

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"metric_samples": 50}, "metric_samples applies to metrics of features: give metrics, e.g. fid"),
            (
                {"rematerialize": True},
                "rematerialize applies to progressive, stylegan, stylegan2, biggan: leave it out",
            ),
        ],
    )
    def test_options_of_a_run_without_effect_are_refused(self, options, sentence, tmp_path):
        config = RunConfig(REGISTRY["gan"].config(hidden=(4,)), data="ring", **options)
        with pytest.raises(InputError, match=f"^{sentence}$"):
            prepare_run(tmp_path / "run", "gan", config)
