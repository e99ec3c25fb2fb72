"""What a loaded run offers: samples, codes, reconstructions, other classes; in parts, and for several seeds."""

from collections import Counter

import jax
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.errors import InputError

TEST = load("digits", split="test")
SOME = {name: array[:23] for name, array in TEST.items()}


def under_every_label(run, state):
    """The codes of some examples, decoded as members of every class."""
    code = run.model.encode(state, SOME)
    return np.stack([run.model.decode(state, code, label=label) for label in range(10)], axis=1)


def one_of(run, seed):
    """The model's state in one run of several."""
    return jax.tree.map(lambda x: x[seed], run.state)


def test_many_samples_come_in_parts(fresh):
    samples = np.asarray(fresh("vae").sample(jax.random.key(0), 2300))
    assert samples.shape == (2300, 8, 8, 1)
    assert len(np.unique(samples.reshape(2300, -1), axis=0)) == 2300


def test_the_parts_go_on_with_the_classes(fresh, monkeypatch):
    monkeypatch.setattr("jaxgen.runs.loading.LARGEST_BATCH", 14)
    run, key = fresh("cvae"), jax.random.key(0)
    usual, told = run.sample(key, 37), run.sample(key, 37, label=np.arange(37) % 10)
    np.testing.assert_array_equal(usual, told)
    assert not np.array_equal(told, run.sample(key, 37, label=3))


@pytest.mark.parametrize("family", ["vae", "cvae"])
def test_codes_and_reconstructions_are_those_of_the_model_however_many(family, fresh, monkeypatch):
    run = fresh(family)
    assert len(TEST["image"]) > 3 * 100
    monkeypatch.setattr("jaxgen.runs.loading.LARGEST_BATCH", 100)
    np.testing.assert_allclose(run.encode(TEST), run.model.encode(run.state, TEST), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.reconstruct(TEST), run.model.reconstruct(run.state, TEST), rtol=1e-5, atol=1e-6)


def test_ten_thousand_examples_are_no_constants_of_the_program(fresh, monkeypatch):
    run = fresh("vae")
    shapes = []

    def encode(state, batch):
        assert isinstance(batch["image"], jax.core.Tracer)
        shapes.append(batch["image"].shape[0])
        return run.model.encode(state, batch)

    many = {"image": np.resize(TEST["image"], (10_000, 8, 8, 1))}
    codes = run._replace(model=run.model._replace(encode=encode)).encode(many)
    assert codes.shape == (10_000, 2)
    assert max(shapes) <= 1000
    np.testing.assert_allclose(codes[9_900:], run.encode({"image": many["image"][9_900:]}), rtol=1e-5, atol=1e-6)


def test_what_is_compiled_serves_every_part_and_every_call(fresh, monkeypatch):
    monkeypatch.setattr("jaxgen.runs.loading.LARGEST_BATCH", 10)
    run, traced = fresh("cvae", seeds=2), Counter()

    def counted(name):
        def count(*arguments, **options):
            traced[name] += 1
            return function(*arguments, **options)

        function = getattr(run.model, name)
        return count

    names = ("sample", "encode", "decode", "reconstruct")
    run = run._replace(model=run.model._replace(**{name: counted(name) for name in names}))
    some = {name: array[:20] for name, array in TEST.items()}
    for seed in range(3):
        run.sample(jax.random.key(seed), 20)
        run.encode(some)
        run.reconstruct(some)
        run.reconstruct(some, label=seed)
    # Codes are found once for themselves, and once to be decoded under another label.
    assert traced == {"sample": 1, "encode": 2, "decode": 1, "reconstruct": 1}


def test_each_of_several_seeds_has_its_own_codes(fresh, monkeypatch):
    run = fresh("cvae", seeds=2)
    monkeypatch.setattr("jaxgen.runs.loading.LARGEST_BATCH", 10)
    codes, reconstructions, styles = run.encode(SOME), run.reconstruct(SOME), run.restyle(SOME)
    assert styles.shape == (2, 23, 10, 8, 8, 1)
    for seed in range(2):
        state = one_of(run, seed)
        np.testing.assert_allclose(codes[seed], run.model.encode(state, SOME), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(reconstructions[seed], run.model.reconstruct(state, SOME), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(styles[seed], under_every_label(run, state), rtol=1e-5, atol=1e-6)
    assert not np.allclose(codes[0], codes[1])


def test_the_same_code_under_other_labels(fresh):
    run = fresh("cvae")
    styles = np.asarray(run.restyle(SOME))
    np.testing.assert_allclose(styles, under_every_label(run, run.state), rtol=1e-5, atol=1e-6)
    # Under its own label an example is reconstructed.
    own = styles[np.arange(23), SOME["label"]]
    np.testing.assert_allclose(own, run.reconstruct(SOME), rtol=1e-5, atol=1e-6)
    assert np.all(np.abs(own - styles[np.arange(23), (SOME["label"] + 1) % 10]).max(axis=(1, 2, 3)) > 1e-3)
    np.testing.assert_allclose(run.reconstruct(SOME, label=7), styles[:, 7], rtol=1e-5, atol=1e-6)
    others = (SOME["label"] + 1) % 10
    expected = styles[np.arange(23), others]
    np.testing.assert_allclose(run.reconstruct(SOME, label=others), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("label", [10, -1, np.resize([3, 12], 23)])
def test_labels_outside_the_range_are_refused(label, fresh):
    run = fresh("cvae")
    wrong = np.max(label) if np.max(label) > 9 else -1
    with pytest.raises(InputError, match=f"label must be from 0 to 9, as there are 10 classes, got {wrong}"):
        run.reconstruct(SOME, label=label)
    with pytest.raises(InputError, match=f"label must be from 0 to 9, as there are 10 classes, got {wrong}"):
        run.sample(jax.random.key(0), 23, label=label)
    mislabelled = SOME | {"label": np.broadcast_to(label, 23)}
    for function in (run.encode, run.reconstruct):
        with pytest.raises(InputError, match=f"label must be from 0 to 9, .* got {wrong}"):
            function(mislabelled)


def test_what_a_run_cannot_do_is_said(fresh):
    gan, vae, cvae = fresh("gan"), fresh("vae"), fresh("cvae")
    for call, said in [
        (lambda: gan.encode(SOME), "the model 'gan' has no encoder, so it has no codes"),
        (lambda: gan.reconstruct(SOME), "the model 'gan' has no encoder, so it cannot reconstruct"),
        (lambda: vae.restyle(SOME), "the model 'vae' cannot be conditioned on label"),
        (lambda: vae.reconstruct(SOME, colour=3), "the model 'vae' cannot be conditioned on colour"),
        (lambda: cvae.reconstruct(SOME, label=[1, 2]), "give one label or 23 for 23 examples"),
        (lambda: cvae.encode({"image": SOME["image"]}), "must have labels"),
        (lambda: vae.encode({"image": SOME["image"][:0]}), "same number of examples, got"),
        (lambda: vae.sample(jax.random.key(0), 0), "must be at least 1, got 0"),
    ]:
        with pytest.raises(InputError, match=said):
            call()


def test_a_model_without_conditions_needs_no_labels(fresh):
    run = fresh("vae")
    np.testing.assert_array_equal(run.encode({"image": SOME["image"]}), run.encode(SOME))
