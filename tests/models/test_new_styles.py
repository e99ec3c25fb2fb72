"""One style in all layers (W) and a style in each (W+), for both families with styles."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.models import stylegan, stylegan2, vae
from jaxgen.models.new_styles import averaged_variables, every_layer_sampler
from jaxgen.runs import Run, RunConfig
from jaxgen.training.seeds import add_seed_axis
from tests.models.random_states import random_state

SMALL = {"base": 16, "largest": 4, "latent_dim": 3, "style_dim": 5, "mapping_layers": 1, "group": 2, "size": 8}
DATA = {"image": np.zeros((6, 8, 8, 1), np.uint8), "label": np.arange(6, dtype=np.int32) % 3}
KEY = jax.random.key(0)
FEATURES = {
    # Outputs of the operations that have the styles, by their order, and further options of the synthesis.
    "stylegan": (
        ["b4.const_styling", "b4.conv_styling", "b8.conv0_up_styling", "b8.conv1_styling"],
        {"size": 8, "alpha": None},
    ),
    "stylegan2": (["b4.conv1", "b8.conv0", "b8.conv1", "b8.torgb"], {}),
}
MODULES = {"stylegan": stylegan, "stylegan2": stylegan2}

pytestmark = pytest.mark.usefixtures("convolutions_by_xla")


def small(name, **options):
    """A conditional model, and a state at the end of its training."""
    further = {"stabilize": 8, "fade": 8, "batch_sizes": (8,), "truncated_layers": 3} if name == "stylegan" else {}
    config = MODULES[name].Config(**SMALL, **further, conditional=True, **options)
    model = MODULES[name].build(config, DATA)
    state = jax.tree.map(jnp.asarray, random_state(model, DATA, scale=0.5))
    return config, model, state.replace(step=jnp.int32(1000))


@pytest.fixture(scope="module", params=MODULES)
def family(request):
    return request.param


def test_equal_styles_in_all_layers_give_the_bits_of_one_style(family):
    _, model, state = small(family)
    styles, label = model.styles, np.arange(4) % 3

    @jax.jit
    def images(z):
        w = styles.map(state, z, label=label)
        layers = jnp.stack([w] * styles.layers, axis=1)
        same = jnp.broadcast_to(z[:, None], (4, styles.layers, 3))
        return (
            model.decode(state, z, label=label),
            styles.synthesize(state, layers, styles.noise(state)),
            model.decode(state, same, label=label),
            model.decode(state, same, label=label, truncation=0.4),
            model.decode(state, z, label=label, truncation=0.4),
        )

    one, of_layers, same, truncated, expected = images(model.sample_latent(KEY, 4))
    np.testing.assert_array_equal(of_layers, one)
    # The mapping network is applied to another number of latents.
    np.testing.assert_allclose(same, one, atol=1e-5)
    np.testing.assert_allclose(truncated, expected, atol=1e-5)
    assert np.abs(truncated - one).max() > 1e-2


def test_a_style_changes_the_features_of_its_layer_and_of_those_after_it_alone(family):
    config, model, state = small(family)
    names, options = FEATURES[family]
    generator = MODULES[family]._networks(config, DATA).generator
    layers = model.styles.layers
    base = np.random.default_rng(0).normal(size=(layers, config.style_dim)).astype(np.float32)
    w = np.stack([base, *(np.where(np.arange(layers)[:, None] == i, base + 1, base) for i in range(layers))])

    @jax.jit
    def features(w):
        variables = averaged_variables(state)
        given = {"noise": "constant", "capture_intermediates": True, "mutable": ["intermediates"], **options}
        return generator.apply(variables, w, method="synthesize", **given)[1]["intermediates"]["synthesis"]

    found = features(w)
    for place, name in enumerate(names):
        block, operation = name.split(".")
        (outputs,) = found[block][operation]["__call__"]
        changes = np.abs(outputs[1:] - outputs[:1]).max(axis=(1, 2, 3))
        np.testing.assert_allclose(changes[place + 1 :], 0, atol=1e-6)
        assert (changes[: place + 1] > 1e-3).all()


def test_samples_have_in_each_layer_the_style_of_a_latent_of_its_own_and_one_class(family):
    """Composed layer by layer from the styles of single latents, of which truncation changes those of `decode`."""
    config, model, state = small(family)
    styles, label, psi = model.styles, np.array([2, 0, 1, 2]), 0.3
    changed = getattr(config, "truncated_layers", styles.layers)

    @jax.jit
    def composed():
        z = jax.random.normal(KEY, (4 * styles.layers, 3)).reshape(4, styles.layers, 3)
        w = [styles.map(state, z[:, layer], label=label) for layer in range(styles.layers)]
        drawn = [
            styles.average(state) + (psi if i < changed else 1.0) * (x - styles.average(state)) for i, x in enumerate(w)
        ]
        return [styles.synthesize(state, jnp.stack(each, axis=1), styles.noise(state)) for each in (w, drawn)]

    sample = every_layer_sampler(model)
    assert sample is every_layer_sampler(model)
    drawn = jax.jit(lambda: (sample(KEY, state, 4, label=label), sample(KEY, state, 4, label=label, truncation=psi)))()
    for found, expected in zip(drawn, composed(), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


def run_of(name, model, state):
    return Run(None, name, RunConfig(None), DATA, model, add_seed_axis(state), 0, {}, ())


def test_samples_of_a_run_have_a_style_of_each_layer_if_chosen():
    _, model, state = small("stylegan2")
    found = run_of("stylegan2", model, state).sample(KEY, 5, every_layer=True, truncation=0.5)
    key = jax.random.fold_in(KEY, 0)
    expected = jax.jit(lambda: every_layer_sampler(model)(key, state, 5, truncation=0.5))()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_latents_of_another_number_of_layers_and_models_without_styles_are_refused():
    _, model, state = small("stylegan2")
    with pytest.raises(InputError, match=r"of the shape \[n, 3\] or \[n, 4, 3\], got shape \(2, 5, 3\)"):
        model.decode(state, jnp.zeros((2, 5, 3)))
    without = vae.build(vae.Config(hidden=(4,)), DATA)
    with pytest.raises(InputError, match="every_layer must be left out: the model 'vae' has no styles of layers"):
        run_of("vae", without, without.init(KEY, DATA)).sample(KEY, 3, every_layer=True)
