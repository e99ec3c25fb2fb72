"""Execution of recipes: training, measurement, comparison, and resumption of interrupted recipes."""

import dataclasses
import json
import math
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxgen import load_run
from jaxgen.data import SYNTHETIC
from jaxgen.data.sources import SYNTHETIC_EXAMPLES
from jaxgen.errors import InputError
from jaxgen.models import REGISTRY
from jaxgen.recipes import RECIPES, Recipe, Request, recipe, run_recipe
from jaxgen.recipes.recipe import Claim, Entry, MetricResult, ModelComparison, Published, RepeatedExperiment
from jaxgen.recipes.theory import ExperimentResult
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
    monkeypatch.setattr(recipe, "train", lambda *_, **__: pytest.fail("trained again"))
    before = (done / "results.json").read_bytes()
    run_recipe(recipe_of(comparison()), Request(done, notify=lambda line: None))
    assert (done / "results.json").read_bytes() == before


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

    monkeypatch.setattr(recipe, "complete_run", test_metrics)
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
        measure=partial(mean, scale=1.0),
        quick_measure=partial(mean, scale=2.0),
    )
    for is_quick, scale in ((False, 1.0), (True, 2.0)):
        folder = tmp_path / str(is_quick)
        shutil.copytree((quick if is_quick else done) / "line", folder / "line")
        run_recipe(recipe_of(measured), Request(folder, quick=is_quick, notify=lambda line: None))
        values = json.loads((folder / "results.json").read_text())["rows"]["Line"]["mean"]["values"]
        samples = load_run(folder / "line").sample(jax.random.key(0), 5)
        np.testing.assert_allclose(values, scale * np.asarray(samples).mean(axis=(1, 2)), rtol=1e-4)


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


def test_non_finite_values_are_null(tmp_path: Path) -> None:
    experiment = recipe_of(RepeatedExperiment(lambda key: ExperimentResult({"ratio": math.nan}, {})))
    run_recipe(experiment, Request(tmp_path, notify=lambda line: None))
    assert json.loads((tmp_path / "results.json").read_text())["rows"]["all"]["ratio"]["values"] == [None] * 3


def test_folder_with_another_number_of_seeds_raises(done: Path) -> None:
    with pytest.raises(InputError, match="was trained with --seeds 3, not 5"):
        run_recipe(recipe_of(comparison()), Request(done, seeds=5, notify=lambda line: None))


def test_mean_sd_and_error_exclude_diverged_seeds() -> None:
    result = MetricResult((7.0, None, 8.0, 6.0, 7.0))
    assert (result.mean, result.sd) == (7.0, pytest.approx(math.sqrt(2 / 3)))
    assert result.error == pytest.approx(math.sqrt(2 / 3) / 2)
    assert math.isnan(MetricResult((None,)).mean)
    assert math.isnan(MetricResult((7.0,)).sd)


@pytest.mark.parametrize(("larger", "p"), [((8.0, 9.0, 10.0), "0.05"), ((5.0, 8.0, 9.0), "0.1")])
def test_claims_have_exact_rank_test_p_values(larger: tuple[float, ...], p: str) -> None:
    """Of the 20 choices of three ranks of six, one has the largest sum, and one more the second largest."""
    rows = {"a": {"modes": MetricResult(larger)}, "b": {"modes": MetricResult((4.0, 4.5, 7.0))}}
    assert f"p = {p} " in recipe._test_claim(Claim("a", "b", "modes"), rows)


def test_claims_with_ties_have_permutation_test_p_values() -> None:
    """Only one of the 20 choices of three of these six values has as large a rank sum."""
    rows = {"a": {"modes": MetricResult((1000.0, 1000.0, 999.0))}, "b": {"modes": MetricResult((900.0, 900.0, 880.0))}}
    assert "p = 0.05 " in recipe._test_claim(Claim("a", "b", "modes"), rows)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_are_described_and_claims_and_published_metrics_are_measured(name: str) -> None:
    known = RECIPES[name]
    assert all((known.description, known.reference, known.duration, known.protocol))
    if isinstance(known.run, ModelComparison):
        for claim in known.run.claims:
            assert {claim.larger, claim.smaller} <= set(known.run.entries)
            assert claim.metric in known.run.metrics
        for entry in known.run.entries.values():
            assert set(entry.published) <= set(known.run.metrics)


def test_mixtures_match_the_paper() -> None:
    """Section 4.1 of PacGAN: ring of radius 1, standard deviation 0.01; grid from -4 to 4, standard deviation 0.05."""
    ring, grid = SYNTHETIC["ring"](), SYNTHETIC["grid"]()
    np.testing.assert_allclose(np.linalg.norm(ring.centers, axis=1), 1, rtol=1e-6)
    assert (len(ring.centers), float(ring.scales[0])) == (8, pytest.approx(0.01))
    assert (len(grid.centers), float(np.abs(grid.centers).max())) == (25, 4.0)
    assert float(grid.scales[0]) == pytest.approx(0.05)


def test_experiment_is_repeated_with_different_keys(tmp_path: Path) -> None:
    keys = []

    def experiment(key: jax.Array) -> ExperimentResult:
        keys.append(int(jax.random.key_data(key)[-1]))
        return ExperimentResult({"pair/value": float(keys[-1]), "confidence": 0.5}, {"figure": Figure(figsize=(1, 1))})

    repeated = recipe_of(RepeatedExperiment(experiment, seeds=3))
    run_recipe(repeated, Request(tmp_path, notify=lambda line: None))
    assert keys == [0, 1, 2]
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows["pair"]["value"]["values"] == [0.0, 1.0, 2.0]
    assert rows["all"]["confidence"]["sd"] == 0.0
    assert (tmp_path / "figure.png").is_file()
