"""What `write_report` finds: figures that exist, numbers that other ways of computing them give too."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm, spearmanr
from tests.run.test_page import parsed

from jaxgen.analysis import train_digit_classifier
from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.models import REGISTRY
from jaxgen.report.latents import class_arithmetic, interpolation, manifold, styles
from jaxgen.report.report import TOPICS, write_report
from jaxgen.report.section import NotApplicable, ReportInput, prior_latents, single, subject_of
from jaxgen.runs import Run, RunConfig, analysis, discriminator, load_run, train, training

BASE = RunConfig(model_config=None, steps=60, batch_size=32, log_every=10, checkpoint_every=20, image_every=10)
LOW, HIGH = 0.5, 2.0


def config(family, **changes):
    config = {
        name: changes.pop(name) for name in list(changes) if name not in {f.name for f in dataclasses.fields(BASE)}
    }
    return dataclasses.replace(BASE, config=REGISTRY[family].config(**config), **changes)


def quick_classifier(data, data_dir, image_size):
    return train_digit_classifier(jax.random.key(0), load(data), steps=100, width=8)


@pytest.fixture(scope="module", autouse=True)
def few_batches():
    """Two batches of the birthday test, and a reader of some seconds, are enough to see what is made of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jaxgen.report.samples.TRIALS", 2)
        patch.setattr("jaxgen.report.latents.digit_classifier_of", quick_classifier)
        patch.setattr("jaxgen.report.latents.SURE", 0.0)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Small runs of every kind."""
    folder = tmp_path_factory.mktemp("runs")
    train(folder / "vae", "vae", config("vae", hidden=(16,), latent_dim=2, seeds=2))
    train(folder / "cvae", "cvae", config("cvae", hidden=(16,), latent_dim=3, steps=20))
    wasserstein = {"loss": "wasserstein", "penalty": "gradient", "discriminator_updates": 2}
    train(folder / "ring", "gan", config("gan", hidden=(16,), data="ring", seeds=2, **wasserstein))
    train(folder / "line", "gan", config("gan", hidden=(16,), data="gaussian_1d"))
    spectral = {"architecture": "mlp", "discriminator_normalization": "spectral"}
    train(folder / "digits", "gan", config("gan", hidden=(16,), latent_dim=3, steps=20, **spectral))
    return folder


@pytest.fixture(scope="module")
def analyses(runs):
    return {name: write_report(load_run(runs / name)) for name in ("vae", "cvae", "ring", "line", "digits")}


def test_every_figure_of_the_page_is_there(runs, analyses):
    for name, found in analyses.items():
        assert found.page == runs / name / "analysis" / "index.html"
        sources = parsed(found.page.read_text()).sources
        assert len(sources) == len(set(sources)) > 3
        files = {path.name for path in found.page.parent.iterdir()}
        assert files == {*sources, "index.html", "analysis.json"}
        for source in sources:
            with Image.open(found.page.parent / source) as image:
                image.load()
        content = json.loads((found.page.parent / "analysis.json").read_text())
        assert content["numbers"] == found.numbers
        assert sorted(file for files in content["figures"].values() for file in files) == sorted(sources)
        assert set(content["figures"]) | set(found.left_out) == set(TOPICS)


def test_each_model_has_what_applies_to_it(analyses):
    left_out = {name: set(found.left_out) for name, found in analyses.items()}
    adversarial, norms = {"Loss and quality", "Slope of the discriminator"}, {"Norms of the layers"}
    line = {"The game on the line", "The best discriminator"}
    codes = {"Codes and prior", "Samples through a mixture"}
    assert left_out["vae"] == {*adversarial, *norms, *line, "Transfer of style"}
    assert left_out["cvae"] == {*adversarial, *norms, *line, "Arithmetic by class", "The plane of codes"}
    assert left_out["digits"] == {*line, *codes, "The plane of codes", "Transfer of style"}
    of_images = {"Birthday test", "Interpolation", "The plane of codes", "Transfer of style"}
    of_images |= {"Arithmetic by class", "Coordinates of the code"}
    assert left_out["ring"] == {*norms, *line, *codes, *of_images}
    assert left_out["line"] == {*norms, *codes, *of_images}
    page = analyses["digits"].page.read_text()
    assert "<li>Codes and prior: no codes: the model has no encoder</li>" in page


def test_the_same_command_twice_gives_the_same_bytes(runs, tmp_path, analyses):
    for name in ("cvae", "line"):
        write_report(load_run(runs / name), folder=tmp_path / name)
        for path in analyses[name].page.parent.iterdir():
            assert path.read_bytes() == (tmp_path / name / path.name).read_bytes(), path.name


def test_the_rank_correlation_is_that_of_the_parsed_log(runs, analyses):
    lines = [json.loads(line)["runs"] for line in (runs / "ring" / "metrics.jsonl").read_text().splitlines()]
    for seed in range(2):
        names = ("discriminator/real_output", "discriminator/fake_output", "samples/sliced_wasserstein")
        pairs = [(real - fake, distance) for real, fake, distance in ([line[n][seed] for n in names] for line in lines)]
        assert len(pairs) == 6
        expected = spearmanr(*zip(*pairs, strict=True)).statistic
        assert analyses["ring"].numbers["rank_correlation"]["runs"][seed] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("critic", "apart", "label", "expected"),
    [
        (True, {"adversarial_loss": [-9, -9, -9]}, "critic's estimate", [3.0, 1.0, 2.0]),
        (False, {"adversarial_loss": [1, 2, 0]}, "minus the discriminator's adversarial loss", [-1.0, -2.0, 0.0]),
        (False, {}, "minus the discriminator's loss", [-5.0, -4.0, -6.0]),
    ],
    ids=["critic", "classifier", "old log"],
)
def test_what_is_said_of_the_distance_has_neither_penalty_nor_class_terms(critic, apart, label, expected, tmp_path):
    values = {"real_output": [4, 2, 2], "fake_output": [1, 1, 0], "loss": [5, 4, 6]} | apart
    lines = [
        {"step": step, "samples/sliced_wasserstein": 0.5} | {f"discriminator/{n}": v[step] for n, v in values.items()}
        for step in range(3)
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run = Run(tmp_path, "gan", RunConfig(model_config=None, data="ring"), {}, None, None, 0, {}, ())
    said, _, (estimate,), _ = training._estimate_and_distance(ReportInput(run, 0, {}, {}, {}), critic=critic)
    assert (said, estimate.tolist()) == (label, expected)


def test_a_film_of_the_game_needs_no_pictures_of_samples(runs, tmp_path):
    (tmp_path / "samples").mkdir()
    for path in (runs / "line" / "samples").glob("step-*-game.png"):
        (tmp_path / "samples" / path.name).write_bytes(path.read_bytes())
    run = load_run(runs / "line")._replace(folder=tmp_path)
    section = training.films(ReportInput(run, 0, {}, {}, {}))
    assert [image.name for image in section.images] == ["game_over_training.gif"]


def test_a_gan_is_shown_from_its_beginning_to_its_end(runs):
    run = load_run(runs / "line")
    kept = discriminator._kept(run)
    assert [step for step, _ in kept] == [0, 20, 40, 60]
    assert [int(at.state.step) for _, at in kept] == [0, 20, 40, 60]
    for x, y in zip(jax.tree.leaves(kept[-1][1].state), jax.tree.leaves(run.state), strict=True):
        np.testing.assert_array_equal(x, y)


def test_the_game_on_the_line_is_a_film_of_all_its_pictures(runs, analyses):
    drawn = sorted((runs / "line" / "samples").glob("step-*-game.png"))
    assert [path.name for path in drawn] == [f"step-{step:08d}-game.png" for step in range(10, 70, 10)]
    with Image.open(analyses["line"].page.parent / "game_over_training.gif") as film:
        assert film.n_frames == len(drawn)
        for i, path in enumerate(drawn):
            film.seek(i)
            with Image.open(path) as image:
                # A GIF has 256 colours.
                difference = np.asarray(film.convert("RGB"), float) - np.asarray(image.convert("RGB"), float)
            assert np.abs(difference).mean() < 1


def test_norms_are_those_of_the_kernels_that_the_discriminator_applies(runs, analyses, monkeypatch):
    run, figures = load_run(runs / "digits"), []
    monkeypatch.setattr(discriminator, "png", lambda name, figure, caption: figures.append(figure))
    discriminator.norms(subject_of(run, seed=0))
    *layers, bound = figures[0].axes[0].lines
    assert set(bound.get_ydata()) == {1.01}
    largest = []
    for i, line in enumerate(layers):
        assert (line.get_label(), [*line.get_xdata()]) == (f"discriminator/Dense_{i}", [0, 20])
        kernel = np.float64(run.state.params["discriminator"][f"Dense_{i}"]["kernel"])
        vectors = np.float64(run.state.stats["discriminator"]["spectral"][f"SpectralNorm_{i}"]["U"])
        # Evaluation makes one step from what training has left.
        basis = np.linalg.qr(kernel.T @ kernel @ vectors)[0]
        largest.append(np.linalg.norm(kernel, 2) / np.linalg.norm(kernel @ basis, 2))
        assert line.get_ydata()[-1] == pytest.approx(largest[-1], rel=1e-5)
    assert len(largest) == 2
    assert analyses["digits"].numbers["largest_singular_value"] == pytest.approx(max(largest), rel=1e-5)


def test_norms_are_those_of_the_averaged_kernels_from_which_samples_are_drawn(monkeypatch):
    spectral = {"generator_normalization": "spectral", "discriminator_normalization": "spectral"}
    config = REGISTRY["gan"].config(architecture="mlp", hidden=(16,), ema=0.9, **spectral)
    shown = example(load("digits"))
    model = REGISTRY["gan"].build(config, shown)
    state = model.init(jax.random.key(0), shown)
    drawn = jax.tree.map(lambda x: jax.random.normal(jax.random.key(1), x.shape), state.ema)
    run = Run(None, "gan", RunConfig(model_config=config), shown, model, state.replace(ema=drawn), 0, {}, ())
    monkeypatch.setattr(discriminator, "_kept", lambda run: [(0, run)])
    captions = []
    monkeypatch.setattr(discriminator, "png", lambda name, figure, caption: captions.append(caption))
    section = discriminator.norms(ReportInput(run, 0, {}, {}, {}))
    largest = []
    for applied, network in ((state.params, "discriminator"), (drawn, "generator")):
        for i in range(2):
            kernel = np.float64(applied[network][f"Dense_{i}"]["kernel"])
            vectors = np.float64(state.stats[network]["spectral"][f"SpectralNorm_{i}"]["U"])
            basis = np.linalg.qr(kernel.T @ kernel @ vectors)[0]
            largest.append(np.linalg.norm(kernel, 2) / np.linalg.norm(kernel @ basis, 2))
    assert max(largest[2:]) > max(largest[:2]) + 0.01
    assert section.numbers["largest_singular_value"] == [pytest.approx(max(largest), rel=1e-5)]
    assert "The generator's kernels are those of its averaged weights" in captions[0]


def critic_of(weights):
    """A run on points whose discriminator is linear, and whose generator makes a normal distribution around `HIGH`."""

    def sample(key, state, n):
        return HIGH + jax.random.normal(key, (n, len(weights)))

    def evaluate(key, state, batch):
        return {"real_output": batch["point"] @ jnp.asarray(weights)}

    return Model(
        None,
        None,
        sample,
        evaluate=evaluate,
        players=REGISTRY["gan"].build(REGISTRY["gan"].config(), {"point": np.zeros((1, 2), np.float32)}).players,
    )


@dataclasses.dataclass(frozen=True)
class Classifying:
    loss: str = "non_saturating"


NOTHING = State(jnp.int32(0), {}, {}, {}, {})


def lone(model, data, state=NOTHING):
    dim = 1 if data == "gaussian_1d" else 2
    example = {"point": np.zeros((1, dim), np.float32), "label": np.array([7])}
    run = Run(None, "gan", RunConfig(model_config=Classifying(), data=data), example, model, state, 0, {}, ())
    return subject_of(run, seed=0)


def test_the_slope_of_a_linear_critic_is_the_length_of_its_weights():
    section = discriminator.slope(lone(critic_of([3.0, 4.0]), "ring"))
    assert section.numbers["slope_mean"] == [pytest.approx(5.0, rel=1e-6)]
    assert section.numbers["slope_sd"] == [pytest.approx(0.0, abs=1e-5)]


def test_the_slope_is_taken_towards_the_generator_that_is_played_against():
    def sample(key, state, n):
        return jnp.full((n, 2), 1000.0 if state.ema else 0.0)

    # The slope is the distance from 0, and all examples are within 2.
    bowl = critic_of([1.0, 1.0])._replace(
        sample=sample, evaluate=lambda key, state, batch: {"real_output": (batch["point"] ** 2).sum(axis=1) / 2}
    )
    state = State(jnp.int32(0), {}, {}, {}, {"generator": jnp.zeros(())})
    assert 0 < discriminator.slope(lone(bowl, "ring", state)).numbers["slope_mean"][0] < 2


def log_p(x):
    """Log density of `gaussian_1d`."""
    parts = zip((0.3, 0.5, 0.2), (-4.0, 0.0, 3.0), (0.5, 1.0, 0.7), strict=True)
    return jnp.log(sum(w * jnp.exp(-((x - m) ** 2) / (2 * s**2)) / (s * jnp.sqrt(2 * jnp.pi)) for w, m, s in parts))


def knowing_both(key, state, batch):
    """The best discriminator for a generator that makes N(HIGH, 1)."""
    x = batch["point"][:, 0]
    return {"real_output": jnp.maximum(log_p(x), -80.0) + (x - HIGH) ** 2 / 2 + 0.5 * jnp.log(2 * jnp.pi)}


def integrals(log_discriminator, log_other):
    """The value of the game against N(HIGH, 1), from log D and log (1 - D) as functions of the place."""
    places = np.linspace(-12, 12, 20001)
    p, q = np.exp(np.asarray(log_p(places), float)), norm.pdf(places, HIGH, 1)
    terms = p * log_discriminator(places, p, q) + q * log_other(places, p, q)
    return np.sum(terms[p + q > 0]) * (places[1] - places[0])


def best_value():
    return integrals(lambda x, p, q: np.log(p / (p + q) + 1e-300), lambda x, p, q: np.log(q / (p + q) + 1e-300))


def test_the_best_discriminator_has_no_distance_from_the_best_one():
    """The discriminator knows both densities: those of the data, and of a generator that makes N(HIGH, 1)."""
    model = critic_of([1.0])._replace(evaluate=knowing_both)
    numbers = discriminator.optimum(lone(model, "gaussian_1d")).numbers
    assert numbers["probability_error"][0] < 0.02
    assert numbers["log_ratio_error"][0] < 0.1
    assert numbers["optimal_value"][0] == pytest.approx(best_value(), abs=0.01)
    assert numbers["value"][0] == pytest.approx(best_value(), abs=0.01)


def test_no_discriminator_has_a_larger_value_than_the_best_one():
    """One whose logit is x is worth what the integral of its own value says, and the best one is worth more."""
    numbers = discriminator.optimum(lone(critic_of([1.0]), "gaussian_1d")).numbers
    value = integrals(lambda x, p, q: -np.logaddexp(0, -x), lambda x, p, q: -np.logaddexp(0, x))
    assert numbers["value"][0] == pytest.approx(value, abs=0.03)
    assert numbers["optimal_value"][0] == pytest.approx(best_value(), abs=0.01)
    best = critic_of([1.0])._replace(evaluate=knowing_both)
    for model in (best, critic_of([1.0]), critic_of([-1.0])):
        numbers = discriminator.optimum(lone(model, "gaussian_1d")).numbers
        assert numbers["value"][0] <= numbers["optimal_value"][0]


def test_a_generator_that_is_narrow_and_far_from_the_data_counts_in_full():
    """With the best discriminator the game is worth nothing, and one that takes its points for real loses 20 nats."""
    model = critic_of([1.0])._replace(sample=lambda key, state, n: 20 + 0.01 * jax.random.normal(key, (n, 1)))
    numbers = discriminator.optimum(lone(model, "gaussian_1d")).numbers
    assert numbers["optimal_value"][0] == pytest.approx(0, abs=1e-3)
    places = np.linspace(-12, 12, 20001)
    of_real = np.sum(np.exp(np.asarray(log_p(places), float)) * -np.logaddexp(0, -places)) * (places[1] - places[0])
    assert numbers["value"][0] == pytest.approx(of_real - 20, abs=0.02)


def test_the_best_discriminator_is_that_against_the_generator_which_plays_and_not_its_average():
    """D knows the generator N(HIGH, 1); the average would make N(-HIGH, 0.1)."""

    def affine_layer(slope, offset):
        return {"generator": {"Dense_0": {"kernel": jnp.full((1, 1), slope), "bias": jnp.full(1, offset)}}}

    family, shown = REGISTRY["gan"], {"point": np.zeros((1, 1), np.float32)}
    model = family.build(family.config(hidden=(), latent_dim=1, ema=0.9), shown)
    state = model.init(jax.random.key(0), shown)
    state = state.replace(params=state.params | affine_layer(1.0, HIGH), ema=affine_layer(0.1, -HIGH))
    section = discriminator.optimum(lone(model._replace(evaluate=knowing_both), "gaussian_1d", state))
    assert section.numbers["probability_error"][0] < 0.02
    assert section.numbers["optimal_value"][0] == pytest.approx(best_value(), abs=0.01)
    assert "not the average of its weights" in section.images[0].caption


def test_noise_of_a_gan_is_what_it_samples_from(runs):
    run = load_run(runs / "digits")
    codes = prior_latents(run, jax.random.key(3), 7)
    sampled = run.model.sample(jax.random.key(3), run.state, 7)
    np.testing.assert_allclose(run.model.decode(run.state, codes), sampled, rtol=1e-4, atol=1e-5)


def test_of_several_seeds_each_has_its_numbers(runs, analyses):
    run = load_run(runs / "vae")
    for seed in range(2):
        alone = analyze_numbers(single(run, seed))
        for name in ("elbo", "codes_prior_mmd", "sliced_wasserstein_prior", "support_at_least"):
            assert analyses["vae"].numbers[name]["runs"][seed] == pytest.approx(alone[name], rel=1e-3), name


def analyze_numbers(run):
    subject = subject_of(run, seed=0)
    chosen = ("On the test split", "Codes and prior", "Samples through a mixture", "Birthday test")
    return {name: of[0] for heading in chosen for name, of in TOPICS[heading](subject).numbers.items()}


def test_a_seed_that_diverged_counts_for_nothing(runs, tmp_path):
    run = load_run(runs / "ring")
    broken = jax.tree.map(lambda x: x.at[0].set(jnp.nan) if jnp.issubdtype(x.dtype, jnp.floating) else x, run.state)
    run = run._replace(state=broken, diverged={0: None})
    numbers = write_report(run, folder=tmp_path / "out").numbers
    for name in ("modes", "slope_mean", "sliced_wasserstein"):
        assert numbers[name]["runs"][0] is None
        assert numbers[name]["mean"] == numbers[name]["runs"][1]


def test_ways_begin_and_end_at_reconstructions_of_different_classes(runs, monkeypatch):
    subject = subject_of(load_run(runs / "vae"), seed=0)
    rows = shown_rows(monkeypatch, lambda: interpolation(subject))
    reconstructions = np.asarray(subject.shown.reconstruct(subject.some))
    label = np.asarray(subject.some["label"])
    for i in range(4):
        ends = []
        for end in (0, -1):
            distances = np.abs(reconstructions - rows[f"line {i + 1}"][end]).max(axis=(1, 2, 3))
            ends.append(distances.argmin())
            # Of which example it is, is beyond doubt.
            assert distances.min() < 1e-5 < 1e-4 < np.sort(distances)[1]
            np.testing.assert_allclose(rows[f"arc {i + 1}"][end], reconstructions[ends[-1]], atol=1e-5)
        assert label[ends[0]] != label[ends[1]]


def test_arithmetic_of_pixels_is_done_with_pixels(runs, monkeypatch):
    subject = subject_of(load_run(runs / "vae"), seed=0)
    rows = shown_rows(monkeypatch, lambda: class_arithmetic(subject))
    image, label = np.asarray(subject.training["image"]) / 255, np.asarray(subject.training["label"])
    of_two = image[label == 2]
    expected = image[label == 3].mean(axis=0) - of_two.mean(axis=0) + of_two[0]
    np.testing.assert_allclose(rows["+ a - b, in pixels"][2], expected, atol=1e-5)
    np.testing.assert_allclose(rows["example of b"][2], of_two[0], atol=1e-6)


def shown_rows(monkeypatch, draw):
    """What a topic gives to be drawn in rows."""
    shown = {}
    monkeypatch.setattr("jaxgen.plot.image_rows", lambda rows, **_: shown.update(rows))
    monkeypatch.setattr("jaxgen.report.latents.png", lambda *_: None)
    draw()
    return {name: np.asarray(images) for name, images in shown.items()}


def decoded(monkeypatch, run, topic):
    """The codes that a topic decodes, with the labels that it tells, and its captions; nothing is computed or drawn."""
    codes, captions = [], []
    monkeypatch.setattr("jaxgen.report.latents.decode", lambda run, code, label: codes.append((code, label)))
    for name in ("image_rows", "image_grid"):
        monkeypatch.setattr(f"jaxgen.plot.{name}", lambda *_, **__: None)
    monkeypatch.setattr("jaxgen.report.latents.png", lambda name, figure, caption: captions.append(caption))
    topic(ReportInput(run, 0, {}, {}, {}))
    return codes, captions


def gan_of(fresh, **choices):
    """A GAN of digits without the parameters that such choices would have."""
    run = fresh("gan")
    config = dataclasses.replace(run.config.model_config, **choices)
    return run._replace(model=REGISTRY["gan"].build(config, run.example))


@pytest.mark.parametrize(("prior", "quantile"), [("normal", norm.ppf), ("uniform", lambda level: 2 * level - 1)])
def test_the_plane_of_codes_is_cut_into_parts_of_equal_probability(fresh, monkeypatch, prior, quantile):
    [(codes, _)], _ = decoded(monkeypatch, gan_of(fresh, prior=prior), manifold)
    ticks = quantile((np.arange(20) + 0.5) / 20)
    np.testing.assert_allclose(codes.reshape(20, 20, 2)[..., 0], np.tile(ticks, (20, 1)), atol=0.03)
    np.testing.assert_allclose(codes.reshape(20, 20, 2)[..., 1], np.tile(ticks[::-1, None], (1, 20)), atol=0.03)


def test_of_a_conditional_gan_the_class_on_the_ways_is_said(fresh, monkeypatch):
    codes, (caption,) = decoded(monkeypatch, gan_of(fresh, condition="projection"), interpolation)
    assert {label for _, label in codes} == {0}
    assert caption.endswith(" All are told the class 0.")
    assert "class" not in decoded(monkeypatch, gan_of(fresh), interpolation)[1][0]


def test_what_a_topic_cannot_have_is_said_and_the_others_are_made(runs, tmp_path, monkeypatch):
    def refused(subject):
        raise InputError("the test split is <not> there")

    def wrong(subject):
        raise ValueError("a bug")

    monkeypatch.setattr(analysis, "TOPICS", {"Distances": refused, "Samples": TOPICS["Samples"]})
    found = write_report(load_run(runs / "ring"), folder=tmp_path)
    assert found.left_out == {"Distances": "the test split is <not> there"}
    assert "<li>Distances: the test split is &lt;not&gt; there</li>" in found.page.read_text()
    assert parsed(found.page.read_text()).sources == ["samples.png"]
    monkeypatch.setattr(analysis, "TOPICS", {"Distances": wrong})
    with pytest.raises(ValueError, match="a bug"):
        write_report(load_run(runs / "ring"), folder=tmp_path)


def test_styles_are_for_models_that_are_told_the_class(runs):
    with pytest.raises(NotApplicable):
        styles(subject_of(load_run(runs / "vae"), seed=0))


def test_a_folder_that_cannot_be_written_is_refused_before_the_work(runs, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to the folder"):
        write_report(load_run(runs / "ring"), folder=tmp_path / "file")


def test_a_full_disk_leaves_no_page(runs, tmp_path, full_disk):
    with full_disk(free=3000), pytest.raises(InputError, match="could not be written"):
        write_report(load_run(runs / "ring"), folder=tmp_path / "out")
    assert not (tmp_path / "out" / "index.html").exists()
