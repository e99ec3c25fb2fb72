"""A recipe trains, measures and compares; what it has done it does not do again."""

import dataclasses
import json
import math
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from jaxgen import load_run
from jaxgen.data import SYNTHETIC
from jaxgen.errors import InputError
from jaxgen.models.gan import Config
from jaxgen.recipes import RECIPES, Recipe, Request, carry_out, recipe
from jaxgen.recipes.recipe import Claim, Comparative, Entry, Measured, Published, Repeated
from jaxgen.recipes.theory import Experiment
from jaxgen.runs import Run, RunConfig, evaluate_run

SMALL = RunConfig(
    Config(hidden=(8,), latent_dim=2), data="ring", steps=4, batch_size=32, log_every=2, checkpoint_every=2
)


def comparative(steps: int = 4) -> Comparative:
    config = dataclasses.replace(SMALL, steps=steps)
    packed = dataclasses.replace(config, config=dataclasses.replace(config.model_config, packing=2))
    return Comparative(
        entries={"GAN": Entry("gan", config, {"modes": Published(6.3, 0.5)}), "Pac GAN, 2": Entry("gan", packed)},
        metrics={"modes": "of 8", "high_quality": "share"},
        claims=[Claim("Pac GAN, 2", "GAN", "modes")],
        seeds=3,
        quick_steps=2,
        quick_seeds=2,
        quick_change=lambda config: dataclasses.replace(
            config, config=dataclasses.replace(config.model_config, hidden=(5,))
        ),
    )


def recipe_of(carried_out: Comparative) -> Recipe:
    return Recipe("what", "reference", "no time", carried_out, "protocol")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe") / "out"
    carry_out(recipe_of(comparative()), Request(folder, say=lambda line: None))
    return folder


def test_results_hold_what_the_runs_are_worth(done: Path) -> None:
    results = json.loads((done / "results.json").read_text())
    assert list(results["rows"]) == ["GAN", "Pac GAN, 2"]
    for name, folder in (("GAN", "gan"), ("Pac GAN, 2", "pac-gan-2")):
        run = load_run(done / folder)
        assert (run.step, run.config.seeds) == (4, 3)
        evaluated = evaluate_run(run)
        for metric in ("modes", "high_quality"):
            row = results["rows"][name][metric]
            assert row["values"] == evaluated[metric]["runs"]
            assert row["mean"] == pytest.approx(np.mean(row["values"]))
            assert row["seeds"] == 3
    assert results["rows"]["GAN"]["modes"]["published"] == {"mean": 6.3, "error": 0.5}
    assert results["rows"]["Pac GAN, 2"]["modes"]["published"] is None
    assert {path.name for path in done.glob("*.png")} == {"modes.png", "high_quality.png", "samples.png"}


def test_a_recipe_that_is_done_is_not_done_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "train", lambda *_, **__: pytest.fail("trained again"))
    before = (done / "results.json").read_bytes()
    carry_out(recipe_of(comparative()), Request(done, say=lambda line: None))
    assert (done / "results.json").read_bytes() == before


def test_a_recipe_that_was_stopped_goes_on_to_the_same_numbers(done: Path, tmp_path: Path) -> None:
    carry_out(recipe_of(comparative(steps=2)), Request(tmp_path, say=lambda line: None))
    carry_out(recipe_of(comparative()), Request(tmp_path, say=lambda line: None))
    resumed, whole = (json.loads((folder / "results.json").read_text())["rows"] for folder in (tmp_path, done))
    assert resumed == whole


def test_some_models_are_compared_and_the_others_left_alone(done: Path, tmp_path: Path) -> None:
    carry_out(recipe_of(comparative()), Request(tmp_path, only=["GAN"], say=lambda line: None))
    some, whole = (json.loads((folder / "results.json").read_text()) for folder in (tmp_path, done))
    assert some["rows"] == {"GAN": whole["rows"]["GAN"]}
    assert some["claims"] == []  # It takes two.
    assert not (tmp_path / "pac-gan-2").exists()
    refused = Request(tmp_path / "other", only=["gan"], say=lambda line: None)
    with pytest.raises(InputError, match="model of this recipe 'gan'"):
        carry_out(recipe_of(comparative()), refused)
    with pytest.raises(InputError, match="compares no models"):
        carry_out(RECIPES["saturation"], refused)
    assert not refused.folder.exists()


def test_a_quick_recipe_is_a_short_one(tmp_path: Path) -> None:
    carry_out(recipe_of(comparative()), Request(tmp_path, quick=True, say=lambda line: None))
    run = load_run(tmp_path / "gan")
    assert (run.step, run.config.seeds, run.config.model_config) == (2, 2, Config(hidden=(5,), latent_dim=2))
    assert json.loads((tmp_path / "results.json").read_text())["quick"] is True


def test_a_recipe_may_measure_what_evaluate_does_not(tmp_path: Path) -> None:
    """The mean of the samples that anybody can draw from the run that is left."""

    def mean(run: Run, key: jax.Array, scale: float) -> dict[str, jax.Array]:
        return {"mean": scale * run.sample(key, 5).mean(axis=(1, 2))}

    one = comparative()
    measured = dataclasses.replace(
        one,
        entries={"GAN": one.entries["GAN"]},
        metrics={"mean": "of coordinates"},
        claims=(),
        measure=partial(mean, scale=1.0),
        quick_measure=partial(mean, scale=2.0),
    )
    for quick, scale in ((False, 1.0), (True, 2.0)):
        folder = tmp_path / str(quick)
        carry_out(recipe_of(measured), Request(folder, quick=quick, say=lambda line: None))
        values = json.loads((folder / "results.json").read_text())["rows"]["GAN"]["mean"]["values"]
        samples = load_run(folder / "gan").sample(jax.random.key(0), 5)
        np.testing.assert_allclose(values, scale * np.asarray(samples).mean(axis=(1, 2)), rtol=1e-4)


@pytest.mark.parametrize("damage", ["", "{}", "[1]"])
def test_a_damaged_summary_is_made_again(done: Path, damage: str) -> None:
    before = (done / "results.json").read_bytes()
    (done / "gan" / "summary.json").write_text(damage)
    carry_out(recipe_of(comparative()), Request(done, say=lambda line: None))
    assert (done / "results.json").read_bytes() == before


def test_a_folder_with_other_models_is_refused(done: Path) -> None:
    other = comparative()
    for name, entry in other.entries.items():
        config = dataclasses.replace(entry.config.model_config, hidden=(9,))
        replaced = Entry("gan", dataclasses.replace(entry.config, config=config))
        other = dataclasses.replace(other, entries={**other.entries, name: replaced})
    with pytest.raises(InputError, match="was trained with --hidden 8, not 9"):
        carry_out(recipe_of(other), Request(done, say=lambda line: None))


def test_a_model_that_diverges_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    small = comparative()
    doomed = dataclasses.replace(SMALL, config=Config(hidden=(8,), latent_dim=2, learning_rate=1e38))
    entries = {"doomed": Entry("gan", doomed), "GAN": small.entries["GAN"]}
    carry_out(
        recipe_of(dataclasses.replace(small, entries=entries, claims=())), Request(tmp_path, say=lambda line: None)
    )
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows["doomed"]["modes"]["values"] == [None] * 3
    assert rows["GAN"]["modes"]["seeds"] == 3


def test_what_is_not_finite_is_nothing(tmp_path: Path) -> None:
    found = recipe_of(Repeated(lambda key: Experiment({"ratio": math.nan}, {})))
    carry_out(found, Request(tmp_path, say=lambda line: None))
    assert json.loads((tmp_path / "results.json").read_text())["rows"]["all"]["ratio"]["values"] == [None] * 3


def test_another_number_of_seeds_needs_another_folder(done: Path) -> None:
    with pytest.raises(InputError, match="was trained with --seeds 3, not 5"):
        carry_out(recipe_of(comparative()), Request(done, seeds=5, say=lambda line: None))


def test_mean_and_errors_are_over_the_seeds_that_did_not_diverge() -> None:
    measured = Measured((7.0, None, 8.0, 6.0, 7.0))
    assert (measured.mean, measured.sd) == (7.0, pytest.approx(math.sqrt(2 / 3)))
    assert measured.error == pytest.approx(math.sqrt(2 / 3) / 2)
    assert math.isnan(Measured((None,)).mean)
    assert math.isnan(Measured((7.0,)).sd)


@pytest.mark.parametrize(("larger", "p"), [((8.0, 9.0, 10.0), "0.05"), ((5.0, 8.0, 9.0), "0.1")])
def test_claims_are_tested_by_ranks(larger: tuple[float, ...], p: str) -> None:
    """Of the 20 ways to choose three ranks of six, one has all the largest, and one more the next larger sum."""
    rows = {"a": {"modes": Measured(larger)}, "b": {"modes": Measured((4.0, 4.5, 7.0))}}
    assert f"p = {p} " in recipe._tested(Claim("a", "b", "modes"), rows)


def test_claims_with_ties_have_the_share_of_all_permutations() -> None:
    """Only one of the 20 ways to choose three of these six values has as large a sum of ranks."""
    rows = {"a": {"modes": Measured((1000.0, 1000.0, 999.0))}, "b": {"modes": Measured((900.0, 900.0, 880.0))}}
    assert "p = 0.05 " in recipe._tested(Claim("a", "b", "modes"), rows)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_says_what_it_is_and_claims_only_what_it_measures(name: str) -> None:
    known = RECIPES[name]
    assert all((known.what, known.reference, known.duration, known.protocol))
    if isinstance(known.carry_out, Comparative):
        for claim in known.carry_out.claims:
            assert {claim.larger, claim.smaller} <= set(known.carry_out.entries)
            assert claim.metric in known.carry_out.metrics
        for entry in known.carry_out.entries.values():
            assert set(entry.published) <= set(known.carry_out.metrics)


def test_the_mixtures_are_those_of_the_paper() -> None:
    """Section 4.1: radius 1 and deviation 0.01, and a grid from -4 to 4 with deviation 0.05."""
    ring, grid = SYNTHETIC["ring"](), SYNTHETIC["grid"]()
    np.testing.assert_allclose(np.linalg.norm(ring.centers, axis=1), 1, rtol=1e-6)
    assert (len(ring.centers), float(ring.scales[0])) == (8, pytest.approx(0.01))
    assert (len(grid.centers), float(np.abs(grid.centers).max())) == (25, 4.0)
    assert float(grid.scales[0]) == pytest.approx(0.05)


def test_an_experiment_is_repeated_with_other_keys(tmp_path: Path) -> None:
    keys = []

    def experiment(key: jax.Array) -> Experiment:
        keys.append(int(jax.random.key_data(key)[-1]))
        return Experiment({"pair/value": float(keys[-1]), "confidence": 0.5}, {"figure": Figure(figsize=(1, 1))})

    found = recipe_of(Repeated(experiment, seeds=3))
    carry_out(found, Request(tmp_path, say=lambda line: None))
    assert keys == [0, 1, 2]
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows["pair"]["value"]["values"] == [0.0, 1.0, 2.0]
    assert rows["all"]["confidence"]["sd"] == 0.0
    assert (tmp_path / "figure.png").is_file()
