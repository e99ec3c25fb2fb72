"""What `jaxgen analyze` says of codes: draws, and not means, against the prior; noise where nothing is encoded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.run.test_analysis import config, gan_of, shown_rows

from jaxgen.analysis import aggregate_posterior_mmd
from jaxgen.game import Model
from jaxgen.report.latents import class_arithmetic, coordinates, density, posterior, styles
from jaxgen.report.section import NotApplicable, ReportInput, subject_of
from jaxgen.runs import Run, RunConfig, latents, load_run, train

STANDARD_ERRORS = 5.0
"""The keys are fixed, so a mean this many standard errors off means a bias and not bad luck."""


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "vae"
    train(folder, "vae", config("vae", hidden=(16,), latent_dim=3))
    return load_run(folder)


def recorded(monkeypatch, name, instead=None):
    """The arguments of all calls of a function of the module, which is called, or another one instead."""
    calls, original = [], instead or getattr(latents, name)

    def record(*arguments, **options):
        calls.append((arguments, options))
        return original(*arguments, **options)

    monkeypatch.setattr(latents, name, record)
    return calls


def test_a_collapsed_posterior_is_as_near_to_the_prior_as_the_prior_itself(tmp_path, monkeypatch):
    train(tmp_path / "run", "vae", config("vae", hidden=(16,), latent_dim=2, beta=1e4, steps=300))
    subject = subject_of(load_run(tmp_path / "run"), seed=0)
    scatters = recorded(monkeypatch, "_draw_over")
    distances = recorded(monkeypatch, "aggregate_posterior_mmd")
    [number] = posterior(subject).numbers["codes_prior_mmd"]
    count = len(subject.some["image"])

    def of_prior(key):
        return float(aggregate_posterior_mmd(key, jax.random.normal(jax.random.fold_in(key, 1), (count, 2))))

    usual = np.array([of_prior(key) for key in jax.random.split(jax.random.key(9), 50)])
    assert abs(number - usual.mean()) < 4 * usual.std()
    # The means, which are all near 0, are far from the prior.
    assert aggregate_posterior_mmd(subject.key, subject.shown.encode(subject.some)) > 20 * abs(usual).max()
    # What codes are compared with is drawn for itself.
    [((codes, prior), _)], [((key, compared), _)] = scatters, distances
    for draws in (prior, jax.random.normal(key, compared.shape)):
        assert abs(np.corrcoef(np.ravel(codes), np.ravel(draws))[0, 1]) < STANDARD_ERRORS / np.sqrt(codes.size)


def test_a_mixture_has_the_moments_of_the_codes_it_is_fitted_to(vae, monkeypatch):
    monkeypatch.setattr(latents, "decode", lambda run, codes: codes)
    subject, count = subject_of(vae, seed=0), 50_000
    drawn = np.asarray(latents._through_mixture(subject, vae, count), np.float64)
    codes = np.asarray(vae.encode(subject.training), np.float64)
    # Of a mixture that maximizes the likelihood, they are those of the codes exactly.
    deviations = codes.std(axis=0)
    assert np.all(np.abs(drawn.mean(axis=0) - codes.mean(axis=0)) < STANDARD_ERRORS * deviations / np.sqrt(count))
    scale = np.outer(deviations, deviations)
    assert np.all(np.abs(np.cov(drawn.T) - np.cov(codes.T)) < 0.03 * scale)
    assert np.abs(np.cov(codes.T) / scale - np.eye(3)).max() > 0.1


def test_all_draws_of_the_mixture_follow_the_seed(vae, monkeypatch):
    calls, drawn = recorded(monkeypatch, "fit_latent_density"), []
    for seed in (0, 1, 0):
        drawn.append(np.asarray(density(subject_of(vae, seed=seed)).numbers["sliced_wasserstein_mixture"]))
    seeds = [options["seed"] for _, options in calls]
    assert seeds[0] == seeds[2] != seeds[1]
    assert drawn[0] == drawn[2] != drawn[1]


def one_at_a_time(codes, start, limit):
    """The coordinates that change in each row of codes, where all others stay those of the start."""
    rows = np.asarray(codes).reshape(-1, 9, len(start))
    changed = []
    for row in rows:
        [coordinate] = np.flatnonzero(np.ptp(row, axis=0) > 0)
        np.testing.assert_allclose(row[:, coordinate], np.linspace(-limit, limit, 9), atol=1e-6)
        others = np.delete(row, coordinate, axis=1)
        np.testing.assert_array_equal(others, np.broadcast_to(np.delete(start, coordinate), others.shape))
        changed.append(int(coordinate))
    return changed


def test_one_coordinate_of_an_examples_code_changes_in_each_row(vae, monkeypatch):
    subject, calls = subject_of(vae, seed=0), recorded(monkeypatch, "decode")
    rows = shown_rows(monkeypatch, lambda: coordinates(subject))
    codes = np.asarray(vae.encode(subject.some))
    changed = one_at_a_time(np.concatenate([arguments[1] for arguments, _ in calls]), codes[0], 3.0)
    assert changed == np.argsort(-codes.std(axis=0)).tolist()
    assert list(rows) == [f"z{coordinate}" for coordinate in changed]
    for ((_, way, *_), _), images in zip(calls, rows.values(), strict=True):
        np.testing.assert_allclose(images, vae.model.decode(vae.state, way), rtol=1e-5, atol=1e-6)


SLOPES = np.array([0.01, 0.04, 0.02, 0.03], np.float32)
"""Of the one grey value of a picture, in each coordinate of the noise."""


def generator(uniform=False, conditions=()):
    """A run whose samples are grey all over: 1/2 and the inner product of the noise and `SLOPES`."""

    def prior(key, n):
        return jax.random.uniform(key, (n, 4), minval=-1.0) if uniform else jax.random.normal(key, (n, 4))

    def decode(state, code, label=None):
        return jnp.broadcast_to((0.5 + code @ SLOPES)[:, None, None, None], (len(code), 8, 8, 1))

    shown = {"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([9])}
    model = Model(None, None, None, decode=decode, prior=prior, conditions=conditions)
    return Run(None, "gan", RunConfig(model_config=None, data="digits"), shown, model, None, 0, {}, ())


@pytest.mark.parametrize(("uniform", "limit"), [(False, 3.0), (True, 1.0)])
@pytest.mark.parametrize("conditions", [(), ("label",)])
def test_one_coordinate_of_noise_changes_in_each_row_over_the_range_of_the_prior(
    uniform, limit, conditions, monkeypatch
):
    run, captions = generator(uniform, conditions), []
    calls = recorded(monkeypatch, "decode")
    subject = ReportInput(run, 0, {}, {}, {})
    rows = shown_rows(monkeypatch, lambda: coordinates(subject))
    [((_, codes, label), _)] = calls
    start = np.asarray(run.model.prior(subject.key, 1))[0]
    assert one_at_a_time(codes, start, limit) == [0, 1, 2, 3]
    assert label == 0
    # What changes the picture most comes first.
    assert list(rows) == ["z1", "z3", "z2", "z0"]
    for name, images in rows.items():
        i = int(name[1:])
        of_others = 0.5 + np.delete(start, i) @ np.delete(SLOPES, i)
        expected = of_others + SLOPES[i] * np.linspace(-limit, limit, 9)
        np.testing.assert_allclose(images[:, 0, 0, 0], expected, rtol=1e-5)
    monkeypatch.setattr(latents, "png", lambda name, figure, caption: captions.append(caption))
    coordinates(subject)
    assert f"from -{limit:g} to {limit:g}" in captions[0]
    assert ("All are told the class 0." in captions[0]) == bool(conditions)


EDGES = np.array([0.0, 0.46, 0.5, 0.54, 0.655])
"""Grey values where the classes begin; of the last one there are fewer than three samples."""


class GreyReader:
    """Reads how grey a picture is, and is unsure of about half of them: by the fourth decimal."""

    @staticmethod
    def grey(images):
        return np.asarray(images, np.float64).mean(axis=(1, 2, 3))

    def probabilities(self, images):
        grey = self.grey(images)
        label = np.searchsorted(EDGES, grey) - 1
        sure = np.where(grey * 1000 % 1 < 0.5, 0.95, 0.85)
        return np.eye(10)[label] * sure[:, None] + (1 - sure[:, None]) / 10


def test_arithmetic_of_noise_takes_the_classes_from_the_reader(monkeypatch):
    run, classifier = generator(), GreyReader()
    calls = recorded(monkeypatch, "decode")
    asked = recorded(monkeypatch, "digit_classifier_of", lambda *_: classifier)
    subject = ReportInput(run, 0, {"label": np.arange(10)}, {}, {})
    rows = shown_rows(monkeypatch, lambda: class_arithmetic(subject))
    assert asked == [(("digits", None, None), {})]

    codes = np.asarray(run.model.prior(subject.key, 5000), np.float64)
    grey = classifier.grey(run.model.decode(None, jnp.asarray(codes)))
    label, sure = np.searchsorted(EDGES, grey) - 1, grey * 1000 % 1 < 0.5
    assert 0 < np.sum(sure & (label == 4)) < 3
    assert 0.3 < sure.mean() < 0.7
    expected = {"codes": [], "pixels": [], "sample": []}
    for b, a in ((0, 1), (1, 2), (2, 3)):
        of_a, of_b = (np.flatnonzero(sure & (label == k)) for k in (a, b))
        expected["codes"].append(codes[of_a].mean(axis=0) - codes[of_b].mean(axis=0) + codes[of_b[0]])
        expected["pixels"].append(grey[of_a].mean() - grey[of_b].mean() + grey[of_b[0]])
        expected["sample"].append(grey[of_b[0]])
    [((_, drawn), _), ((_, summed), _)] = calls
    np.testing.assert_allclose(drawn, codes, rtol=1e-6)
    np.testing.assert_allclose(summed, expected["codes"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(classifier.grey(rows["sample of b"]), expected["sample"], rtol=1e-5)
    np.testing.assert_allclose(classifier.grey(rows["+ a - b, in pixels"]), expected["pixels"], rtol=1e-5)
    np.testing.assert_allclose(rows["+ a - b, in codes"], run.model.decode(None, summed), rtol=1e-6)
    assert "its reconstruction" not in rows


def test_arithmetic_of_noise_says_what_it_lacks(monkeypatch):
    run, labels = generator(), {"label": np.arange(10)}
    colour = {"image": np.zeros((1, 8, 8, 3), np.uint8), "label": np.array([9])}
    eleven = run.example | {"label": np.array([10])}
    for shown in (colour, eleven):
        with pytest.raises(NotApplicable, match="grey pictures of 10 classes"):
            class_arithmetic(ReportInput(run._replace(example=shown), 0, labels, {}, {}))
    with pytest.raises(NotApplicable, match="the data have no classes"):
        class_arithmetic(ReportInput(run, 0, {}, {}, {}))
    with pytest.raises(NotApplicable, match="the model is told the class, so its codes do not hold it"):
        class_arithmetic(ReportInput(generator(conditions=("label",)), 0, labels, {}, {}))
    monkeypatch.setattr(latents, "digit_classifier_of", lambda *_: GreyReader())
    monkeypatch.setattr("tests.run.test_analysis_codes.EDGES", np.zeros(1))
    with pytest.raises(NotApplicable, match="less than two classes"):
        class_arithmetic(ReportInput(run, 0, labels, {}, {}))


def test_the_same_noise_is_told_every_class(fresh, monkeypatch):
    run = gan_of(fresh, condition="projection")
    numbered = np.broadcast_to(np.arange(80)[:, None, None, None], (80, 8, 8, 1))
    calls = recorded(monkeypatch, "decode", lambda *_: numbered)
    rows = shown_rows(monkeypatch, lambda: styles(ReportInput(run, 0, {}, {}, {})))
    [((_, codes, label), _)] = calls
    noise = np.asarray(run.model.prior(jax.random.key(0), 8))
    assert len(np.unique(noise, axis=0)) == 8
    for i, images in enumerate(rows.values()):
        np.testing.assert_array_equal(images[:, 0, 0, 0], np.arange(10 * i, 10 * i + 10))
        np.testing.assert_array_equal(codes[10 * i : 10 * i + 10], np.tile(noise[i], (10, 1)))
        np.testing.assert_array_equal(label[10 * i : 10 * i + 10], np.arange(10))
    assert len(rows) == 8
    with pytest.raises(NotApplicable, match="the model is not told the class"):
        styles(ReportInput(gan_of(fresh), 0, {}, {}, {}))
