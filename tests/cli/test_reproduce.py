"""`jaxgen reproduce NAME`: table of published and measured numbers, list of recipes, errors."""

import dataclasses
import json

import pytest

from jaxgen.models.gan import Config
from jaxgen.recipes import RECIPES
from jaxgen.recipes.claims import Claim
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import Published, Recipe
from jaxgen.runs import RunConfig


@pytest.fixture
def small(monkeypatch):
    """Adds a recipe that takes seconds to the known ones."""
    config = RunConfig(Config(hidden=(8,)), data="ring", steps=4, batch_size=32, log_every=2)
    other = dataclasses.replace(config, model_config=Config(hidden=(4,)))
    compared = ModelComparison(
        {"wide": Entry("gan", config, {"modes": Published(6.3, 0.5)}), "narrow": Entry("gan", other)},
        {"modes": "of 8"},
        claims=[Claim("wide", "narrow", "modes")],
        seeds=2,
        quick_steps=2,
    )
    monkeypatch.setitem(RECIPES, "small", Recipe("widths", "no reference", "seconds", compared, "4 steps"))


def test_recipe_prints_table_and_claims(jaxgen, small, tmp_path):
    said = jaxgen("reproduce", "small", "--out", str(tmp_path / "out"))
    assert said.status == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    (line,) = (line for line in said.out.splitlines() if "wide" in line and "6.3" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    row = results["rows"]["wide"]["modes"]
    assert cells[:3] == ["wide", "modes", "6.3 ± 0.5"]
    assert (float(cells[3]), cells[5]) == (pytest.approx(row["mean"], rel=1e-3), "2")
    assert "modes: wide" in said.out
    assert "duration: seconds" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "pacgan-mixture"], "there is no recipe 'pacgan-mixture': did you mean 'pacgan-mixtures'?"),
        (["reproduce", "--quick"], "NAME must be given before the options, got --quick: jaxgen reproduce "),
        (["reproduce", "saturation", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["reproduce", "critic-loss", "--only", "--quick"], "--only must be followed by at least one name of a model"),
        (["reproduce", "critic-loss", "--only", "VAE"], "there is no model of this recipe 'VAE'"),
        (["reproduce", "saturation", "--sedes", "3"], "has no option '--sedes': did you mean '--seeds'?"),
    ],
)
def test_invalid_arguments_give_one_sentence_and_write_nothing(jaxgen, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    said = jaxgen(*arguments)
    assert said.status == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_recipes_are_listed_without_arguments(jaxgen):
    said = jaxgen("reproduce")
    assert said.status == 0
    assert all(name in said.out and recipe.description in said.out for name, recipe in RECIPES.items())
