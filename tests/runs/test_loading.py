"""What a loaded run offers: samples, latents, logits and reconstructions, in parts and for several seeds."""

import functools
from collections import Counter

import jax
import numpy as np
import pytest

from jaxgen.data import load
from jaxgen.data.large_arrays import map_batches
from jaxgen.errors import InputError
from jaxgen.training.seeds import select_seed

TEST = load("digits", split="test")
SOME = {name: array[:23] for name, array in TEST.items()}
near = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


def with_all_labels(run, state):
    """The latents of some examples, decoded with every label."""
    latents = run.model.encode(state, SOME)
    return np.stack([run.model.decode(state, latents, label=label) for label in range(10)], axis=1)


@pytest.fixture
def parts_of(monkeypatch):
    """`parts_of(size)`: make runs compute in parts of so many examples."""

    def limit(size):
        monkeypatch.setattr("jaxgen.runs.loading.LARGEST_BATCH", size)
        monkeypatch.setattr("jaxgen.runs.loading.map_batches", functools.partial(map_batches, size=size))

    return limit


class TestParts:
    def test_samples_of_different_parts_differ(self, fresh):
        samples = np.asarray(fresh("vae").sample(jax.random.key(0), 2300))
        assert samples.shape == (2300, 8, 8, 1)
        assert len(np.unique(samples.reshape(2300, -1), axis=0)) == 2300

    def test_the_cycle_of_classes_continues_over_parts(self, fresh, parts_of):
        parts_of(14)
        run, key = fresh("cvae"), jax.random.key(0)
        default, labelled = run.sample(key, 37), run.sample(key, 37, label=np.arange(37) % 10)
        np.testing.assert_array_equal(default, labelled)
        assert not np.array_equal(labelled, run.sample(key, 37, label=3))

    @pytest.mark.parametrize("family", ["vae", "cvae"])
    def test_latents_and_reconstructions_are_those_of_the_model(self, family, fresh, parts_of):
        run = fresh(family)
        state = select_seed(run.state, 0)
        assert len(TEST["image"]) > 3 * 100
        parts_of(100)
        near(run.encode(TEST), run.model.encode(state, TEST))
        near(run.reconstruct(TEST), run.model.reconstruct(state, TEST))

    def test_parts_of_samples_are_the_samples(self, fresh, parts_of):
        parts_of(14)
        for run in (fresh("cvae"), fresh("cvae", seeds=2)):
            parts = list(run.sample_parts(jax.random.key(0), 37, label=np.arange(37) % 3))
            assert [part.shape[1] for part in parts] == [10, 10, 10, 7]
            samples = run.sample(jax.random.key(0), 37, label=np.arange(37) % 3)
            np.testing.assert_array_equal(np.concatenate(parts, axis=1), np.reshape(samples, (-1, 37, 8, 8, 1)))

    def test_decoded_latents_are_those_of_the_model(self, fresh, parts_of):
        parts_of(10)
        latents, label = np.random.default_rng(0).normal(size=(23, 2)).astype(np.float32), np.arange(23) % 10
        near(fresh("vae").decode(latents), fresh("vae").model.decode(select_seed(fresh("vae").state, 0), latents))
        run = fresh("cvae", seeds=2)
        for seed, found in enumerate(run.decode(latents, label=label)):
            near(found, run.model.decode(select_seed(run.state, seed), latents, label=label))

    def test_logits_are_those_of_the_model(self, fresh, parts_of):
        run = fresh("classifier")
        parts_of(100)
        logits = run.predict(TEST)
        assert logits.shape == (len(TEST["image"]), 10)
        near(logits, run.model.predict(select_seed(run.state, 0), TEST))

    def test_ten_thousand_examples_are_not_constants_of_the_program(self, fresh):
        run, shapes = fresh("vae"), []

        def encode(state, batch):
            assert isinstance(batch["image"], jax.core.Tracer)
            shapes.append(batch["image"].shape[0])
            return run.model.encode(state, batch)

        many = {"image": np.resize(TEST["image"], (10_000, 8, 8, 1))}
        latents = run._replace(model=run.model._replace(encode=encode)).encode(many)
        assert latents.shape == (10_000, 2)
        assert max(shapes) <= 1000
        near(latents[9_900:], run.encode({"image": many["image"][9_900:]}))

    def test_a_compiled_function_serves_all_parts_and_calls(self, fresh, parts_of):
        parts_of(10)
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
        # The encoder is traced once for `encode`, and once for reconstructions with another label.
        assert traced == {"sample": 1, "encode": 2, "decode": 1, "reconstruct": 1}


class TestSeveralSeeds:
    def test_each_seed_has_its_own_latents(self, fresh, parts_of):
        run = fresh("cvae", seeds=2)
        parts_of(10)
        latents, reconstructions, styles = run.encode(SOME), run.reconstruct(SOME), run.restyle(SOME)
        assert styles.shape == (2, 23, 10, 8, 8, 1)
        for seed in range(2):
            state = select_seed(run.state, seed)
            near(latents[seed], run.model.encode(state, SOME))
            near(reconstructions[seed], run.model.reconstruct(state, SOME))
            near(styles[seed], with_all_labels(run, state))
        assert not np.allclose(latents[0], latents[1])

    def test_each_seed_has_its_own_logits(self, fresh):
        run = fresh("classifier", seeds=2)
        logits = run.predict(SOME)
        assert logits.shape == (2, 23, 10)
        for seed in range(2):
            near(logits[seed], run.model.predict(select_seed(run.state, seed), SOME))
        assert not np.allclose(logits[0], logits[1])


class TestLabels:
    def test_the_same_latents_are_decoded_with_other_labels(self, fresh):
        run = fresh("cvae")
        styles = np.asarray(run.restyle(SOME))
        near(styles, with_all_labels(run, select_seed(run.state, 0)))
        # With its own label an example is reconstructed.
        own = styles[np.arange(23), SOME["label"]]
        near(own, run.reconstruct(SOME))
        assert np.all(np.abs(own - styles[np.arange(23), (SOME["label"] + 1) % 10]).max(axis=(1, 2, 3)) > 1e-3)
        near(run.reconstruct(SOME, label=7), styles[:, 7])
        others = (SOME["label"] + 1) % 10
        near(run.reconstruct(SOME, label=others), styles[np.arange(23), others])

    @pytest.mark.parametrize("label", [10, -1, np.resize([3, 12], 23)])
    def test_labels_outside_the_range_are_refused(self, label, fresh):
        run = fresh("cvae")
        wrong = np.max(label) if np.max(label) > 9 else -1
        message = f"label must be from 0 to 9, as there are 10 classes, got {wrong}"
        with pytest.raises(InputError, match=message):
            run.reconstruct(SOME, label=label)
        with pytest.raises(InputError, match=message):
            run.sample(jax.random.key(0), 23, label=label)
        mislabelled = SOME | {"label": np.broadcast_to(label, 23)}
        for function in (run.encode, run.reconstruct):
            with pytest.raises(InputError, match=f"label'? must be from 0 to .*got {wrong}"):
                function(mislabelled)

    def test_a_model_without_conditions_needs_no_labels(self, fresh):
        run = fresh("vae")
        np.testing.assert_array_equal(run.encode({"image": SOME["image"]}), run.encode(SOME))


KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("family", "call", "message"),
    [
        ("gan", lambda run: run.encode(SOME), "the model 'gan' has no encoder, so it has no latents"),
        ("gan", lambda run: run.reconstruct(SOME), "the model 'gan' has no encoder or no decoder, so it cannot recon"),
        ("gan", lambda run: run.predict(SOME), "the model 'gan' does not classify"),
        ("classifier", lambda run: run.sample(KEY, 1), "the model 'classifier' does not sample"),
        ("vae", lambda run: run.restyle(SOME), "the model 'vae' cannot be conditioned on label"),
        ("vae", lambda run: run.reconstruct(SOME, colour=3), "the model 'vae' cannot be conditioned on colour"),
        ("vae", lambda run: run.sample(KEY, 1, label=3), "the model 'vae' cannot be conditioned on label"),
        ("cvae", lambda run: run.reconstruct(SOME, label=[1, 2]), "give one label or 23 for 23 examples"),
        ("cvae", lambda run: run.encode({"image": SOME["image"]}), "must have labels"),
        ("vae", lambda run: run.encode({"image": SOME["image"][:0]}), "same number of examples, at least 1, got"),
        (
            "vae",
            lambda run: run.encode(SOME | {"label": SOME["label"][:3]}),
            "one label for each of 23 examples, got 3",
        ),
        ("vae", lambda run: run.sample(KEY, 0), "must be at least 1, got 0"),
    ],
)
def test_what_a_model_does_not_offer_is_refused(family, call, message, fresh):
    with pytest.raises(InputError, match=message):
        call(fresh(family))


@pytest.mark.parametrize("seeds", [None, 2])
def test_the_representation_of_a_run_is_one_line_with_what_identifies_it(seeds, fresh):
    run = fresh("vae", seeds=seeds)._replace(diverged={1: None} if seeds else {}, step=7)
    shown = repr(run)
    assert len(shown) < 300
    assert "\n" not in shown
    networks = {name: sum(x.size for x in jax.tree.leaves(of)) // (seeds or 1) for name, of in run.state.params.items()}
    for part in ("vae on digits", "step 7", *(f"{name} {count:,}" for name, count in networks.items())):
        assert part in shown
    assert ("2 seeds, diverged: [1]" in shown) == (seeds == 2)
