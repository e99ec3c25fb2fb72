"""Recipes that compare models: training, measurement, comparison, and resumption of interrupted recipes."""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgen import load_run
from jaxgen.data.sources import SYNTHETIC_EXAMPLES
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.recipes import RECIPES, Recipe, Request, model_comparison, recipe_runs, run_recipe
from jaxgen.recipes.claims import Claim
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import MetricResult, Published
from jaxgen.runs import Run, RunConfig, evaluate_run
from tests.small_runs import DIVERGING, LINEAR, DivergingConfig, LinearConfig

SMALL = RunConfig(LinearConfig(latent_dim=1), data="ring", steps=4, batch_size=32, log_every=2, checkpoint_every=2)


def comparison(steps: int = 4) -> ModelComparison:
    config = dataclasses.replace(SMALL, steps=steps)
    plane = dataclasses.replace(config, model_config=LinearConfig(latent_dim=2))
    return ModelComparison(
        entries={"Line": Entry("linear", config, {"mse": Published(0.63, 0.05)}), "Plane, 2": Entry("linear", plane)},
        metrics={"modes": "of 8", "mse": "squared distance"},
        claims=[Claim("Line", "Plane, 2", "mse")],
        seeds=3,
        quick_steps=2,
        quick_seeds=2,
        quick_change=lambda config: dataclasses.replace(config, model_config=LinearConfig(latent_dim=5)),
    )


def recipe_of(compared: ModelComparison) -> Recipe:
    return Recipe("description", "reference", "duration", compared, "protocol")


@pytest.fixture(scope="module", autouse=True)
def small_data_and_families_that_compile_quickly() -> Iterator[None]:
    """Few points, and families that recipes find by their names, as those of the package."""
    with pytest.MonkeyPatch.context() as patch:
        for split in SYNTHETIC_EXAMPLES:
            patch.setitem(SYNTHETIC_EXAMPLES, split, 3000)
        patch.setitem(REGISTRY, "linear", LINEAR)
        patch.setitem(REGISTRY, "diverging", DIVERGING)
        yield


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not render figures, for tests of numbers."""
    monkeypatch.setattr("jaxgen.plot.save", lambda figure, path: None)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe") / "out"
    run_recipe(recipe_of(comparison()), Request(folder, notify=lambda line: None))
    return folder


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe") / "quick"
    run_recipe(recipe_of(comparison()), Request(folder, quick=True, only=["Line"], notify=lambda line: None))
    return folder


def test_results_match_evaluation_of_the_runs(done: Path) -> None:
    results = json.loads((done / "results.json").read_text())
    assert list(results["rows"]) == ["Line", "Plane, 2"]
    for name, folder in (("Line", "line"), ("Plane, 2", "plane-2")):
        run = load_run(done / folder)
        assert (run.step, run.config.seeds) == (4, 3)
        evaluated = evaluate_run(run)
        for metric in ("modes", "mse"):
            row = results["rows"][name][metric]
            assert row["values"] == evaluated[metric]["seeds"]
            assert row["mean"] == pytest.approx(np.mean(row["values"]))
            assert row["seeds"] == 3
        assert len(set(results["rows"][name]["mse"]["values"])) == 3
    assert results["rows"]["Line"]["mse"]["published"] == {
        "mean": 0.63,
        "error": 0.05,
        "sd": None,
        "protocol": "",
    }
    assert results["rows"]["Plane, 2"]["mse"]["published"] is None
    assert {path.name for path in done.glob("*.png")} == {"modes.png", "mse.png", "samples.png"}


@pytest.mark.usefixtures("without_figures")
def test_completed_recipe_is_not_trained_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe_runs, "train", lambda *_, **__: pytest.fail("trained again"))
    before = (done / "results.json").read_bytes()
    run_recipe(recipe_of(comparison()), Request(done, notify=lambda line: None))
    assert (done / "results.json").read_bytes() == before


@pytest.mark.usefixtures("without_figures")
def test_animation_has_the_samples_that_were_drawn_during_the_training_as_frames(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "out")
    drawn = tmp_path / "out" / "line" / "samples"
    shutil.rmtree(drawn, ignore_errors=True)
    drawn.mkdir()
    grey = [40, 120, 200]
    for step, level in enumerate(grey):
        Image.fromarray(np.full((6, 4), level, np.uint8)).save(drawn / f"step-{step:08d}-samples.png")
    compared = dataclasses.replace(comparison(), animated=("Line",))
    run_recipe(recipe_of(compared), Request(tmp_path / "out", notify=lambda line: None))
    (path,) = (tmp_path / "out").glob("*.gif")
    assert path.name == "line-samples-over-training.gif"
    with Image.open(path) as animation:
        assert animation.n_frames == len(grey)
        for number, level in enumerate(grey):
            animation.seek(number)
            np.testing.assert_array_equal(np.asarray(animation.convert("L")), np.full((6, 4), level))


@pytest.mark.usefixtures("without_figures")
def test_interrupted_recipe_resumes_to_the_same_results(done: Path, tmp_path: Path) -> None:
    """The first model has half of its steps, and the second one has not been started."""
    run_recipe(recipe_of(comparison(steps=2)), Request(tmp_path, only=["Line"], notify=lambda line: None))
    run_recipe(recipe_of(comparison()), Request(tmp_path, notify=lambda line: None))
    resumed, uninterrupted = (json.loads((folder / "results.json").read_text())["rows"] for folder in (tmp_path, done))
    assert resumed == uninterrupted


def test_a_model_may_have_its_own_seeds_and_its_own_config_at_full_length(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []

    def test_metrics(folder: Path, family: str, config: RunConfig[LinearConfig], notify: object) -> dict[str, object]:
        trained.append((config.seeds, config.steps))
        return {}

    monkeypatch.setattr(model_comparison, "complete_run", test_metrics)
    compared = comparison()
    long = dataclasses.replace(compared.entries["Line"].config, steps=6)
    own = compared.entries["Line"]._replace(seeds=1, full=long)
    for request in (
        Request(Path("absent"), notify=lambda line: None),
        Request(Path("absent"), full=True, notify=lambda line: None),
        Request(Path("absent"), quick=True, notify=lambda line: None),
        Request(Path("absent"), seeds=5, notify=lambda line: None),
    ):
        compared._row("Line", own, request)
    assert trained == [(1, 4), (1, 6), (2, 2), (5, 4)]


@pytest.mark.usefixtures("without_figures")
def test_only_selects_models(done: Path, tmp_path: Path) -> None:
    run_recipe(recipe_of(comparison()), Request(tmp_path, only=["Line"], notify=lambda line: None))
    selected, complete = (json.loads((folder / "results.json").read_text()) for folder in (tmp_path, done))
    assert selected["rows"] == {"Line": complete["rows"]["Line"]}
    assert selected["claims"] == []  # A claim compares two models.
    assert not (tmp_path / "plane-2").exists()
    refused = Request(tmp_path / "other", only=["line"], notify=lambda line: None)
    with pytest.raises(InputError, match="model of this recipe 'line'"):
        run_recipe(recipe_of(comparison()), refused)
    with pytest.raises(InputError, match="--only must be left out, got line: this recipe compares no models"):
        run_recipe(RECIPES["saturation"], refused)
    assert not refused.folder.exists()


def test_quick_recipe_has_fewer_steps_and_seeds_and_the_changed_config(quick: Path) -> None:
    run = load_run(quick / "line")
    assert (run.step, run.config.seeds, run.config.model_config) == (2, 2, LinearConfig(latent_dim=5))
    assert json.loads((quick / "results.json").read_text())["quick"] is True


@pytest.mark.usefixtures("without_figures")
def test_measure_adds_metrics(done: Path, quick: Path, tmp_path: Path) -> None:
    """The metric is the mean of samples, which the stored run reproduces."""

    def mean(run: Run, key: jax.Array, scale: float) -> dict[str, jax.Array]:
        return {"mean": scale * run.sample(key, 5).mean(axis=(1, 2))}

    small = comparison()
    measured = dataclasses.replace(
        small,
        entries={"Line": small.entries["Line"]},
        metrics={"mean": "of coordinates"},
        claims=(),
        measures={"mean": partial(mean, scale=1.0)},
        quick_measures={"mean": partial(mean, scale=2.0)},
    )
    for is_quick, scale in ((False, 1.0), (True, 2.0)):
        folder = tmp_path / str(is_quick)
        shutil.copytree((quick if is_quick else done) / "line", folder / "line")
        run_recipe(recipe_of(measured), Request(folder, quick=is_quick, notify=lambda line: None))
        values = json.loads((folder / "results.json").read_text())["rows"]["Line"]["mean"]["values"]
        samples = load_run(folder / "line").sample(jax.random.key(0), 5)
        np.testing.assert_allclose(values, scale * np.asarray(samples).mean(axis=(1, 2)), rtol=1e-4)


@pytest.mark.usefixtures("without_figures")
def test_only_what_could_not_be_measured_is_measured_again(done: Path, tmp_path: Path) -> None:
    """Such as where weights of a network were missing at first."""
    first = {"a": lambda run, key: {"mean": [1.0, 2.0, 3.0]}, "b": lambda run, key: {}}
    again = {"a": lambda run, key: pytest.fail("measured again"), "b": lambda run, key: {"max": [9.0] * 3}}
    shutil.copytree(done / "line", tmp_path / "line")
    for measures in (first, again):
        compared = dataclasses.replace(comparison(), metrics={"mean": "", "max": ""}, claims=(), measures=measures)
        run_recipe(recipe_of(compared), Request(tmp_path, only=["Line"], notify=lambda line: None))
    row = json.loads((tmp_path / "results.json").read_text())["rows"]["Line"]
    assert (row["mean"]["values"], row["max"]["values"]) == ([1.0, 2.0, 3.0], [9.0] * 3)


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"step": 20, "test": {"mse": 1}}'])
def test_damaged_summary_is_computed_again(done: Path, damage: str) -> None:
    before = (done / "results.json").read_bytes()
    (done / "line" / "summary.json").write_text(damage)
    run_recipe(recipe_of(comparison()), Request(done, notify=lambda line: None))
    assert (done / "results.json").read_bytes() == before


def test_folder_with_other_configs_raises(done: Path) -> None:
    other = comparison()
    for name, entry in other.entries.items():
        replaced = Entry("linear", dataclasses.replace(entry.config, model_config=LinearConfig(latent_dim=9)))
        other = dataclasses.replace(other, entries={**other.entries, name: replaced})
    with pytest.raises(InputError, match="was trained with --latent-dim 1, not 9"):
        run_recipe(recipe_of(other), Request(done, notify=lambda line: None))


def test_other_models_are_measured_if_one_diverges(done: Path, tmp_path: Path) -> None:
    shutil.copytree(done / "line", tmp_path / "line")
    small = comparison()
    diverging = RunConfig(DivergingConfig(), data="digits", steps=30, batch_size=32, log_every=10)
    entries = {"diverging": Entry("diverging", diverging), "Line": small.entries["Line"]}
    run_recipe(
        recipe_of(dataclasses.replace(small, entries=entries, claims=())), Request(tmp_path, notify=lambda line: None)
    )
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows["diverging"]["modes"]["values"] == [None] * 3
    assert rows["Line"]["modes"]["seeds"] == 3


def test_folder_with_another_number_of_seeds_raises(done: Path) -> None:
    with pytest.raises(InputError, match="was trained with --seeds 3, not 5"):
        run_recipe(recipe_of(comparison()), Request(done, seeds=5, notify=lambda line: None))


def test_published_numbers_of_another_protocol_are_not_drawn() -> None:
    def values(protocol: str) -> set[float]:
        rows = {
            str(ours): {"fid[a]": MetricResult((ours,), Published(published, protocol=protocol))}
            for published, ours in ((5.0, 1.0), (6.0, 2.0))
        }
        figure = model_comparison._comparison_figure("fid[a]", "unit", rows)
        drawn = [x for line in figure.axes[0].lines for x in np.asarray(line.get_xdata(), float)]
        drawn += [x for points in figure.axes[0].collections for x in np.ravel(points.get_offsets())]
        return {x for x in drawn if np.isfinite(x)}

    assert {5.0, 6.0} <= values("")
    assert {5.0, 6.0}.isdisjoint(values("elsewhere"))


def test_curves_have_the_logged_means_of_every_model_and_find_features_without_their_protocol(tmp_path: Path) -> None:
    features = "samples/frechet_distance[digits_v1, none, n=9/9, split=digits:train]"
    logged = {"a": {"d/loss": [[1.0, 3.0], [5.0, 7.0]]}, "b": {"d/loss": [[2.0, 2.0], [4.0, 4.0]], features: [[6, 8]]}}
    for name, metrics in logged.items():
        (tmp_path / name).mkdir()
        lines = [{"step": 10 * (i + 1), "seeds": {}} for i in range(2)]
        for metric, values in metrics.items():
            for line, of_seeds in zip(lines, values, strict=False):
                line[metric], line["seeds"][metric] = np.mean(of_seeds), of_seeds
        (tmp_path / name / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    folders = {name: (tmp_path / name, 2) for name in logged}
    figure = model_comparison._curves_figure(("d/loss", "frechet_distance", "absent"), folders)
    drawn = {
        (axes.get_ylabel(), line.get_label()): [list(map(float, line.get_xdata())), list(map(float, line.get_ydata()))]
        for axes in figure.axes
        for line in axes.lines
    }
    assert {label for _, label in drawn} == {"a", "b"}
    assert drawn["d/loss", "a"] == [[10, 20], [2, 6]]
    assert drawn["d/loss", "b"] == [[10, 20], [2, 4]]
    ((_, only),) = [(key, value) for key, value in drawn.items() if key[0] != "d/loss"]
    assert only == [[10], [7]]
