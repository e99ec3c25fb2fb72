"""`jaxgen reproduce NAME` prints published numbers beside ours."""

import dataclasses
import json

import pytest

from jaxgen.models.gan import Config
from jaxgen.recipes import RECIPES
from jaxgen.recipes.recipe import Claim, Comparative, Entry, Published, Recipe
from jaxgen.runs import RunConfig


@pytest.fixture
def small(monkeypatch):
    """A recipe of seconds among the known ones."""
    config = RunConfig(Config(hidden=(8,)), data="ring", steps=4, batch_size=32, log_every=2)
    other = dataclasses.replace(config, config=Config(hidden=(4,)))
    compared = Comparative(
        {"wide": Entry("gan", config, {"modes": Published(6.3, 0.5)}), "narrow": Entry("gan", other)},
        {"modes": "of 8"},
        claims=[Claim("wide", "narrow", "modes")],
        seeds=2,
        quick_steps=2,
    )
    monkeypatch.setitem(RECIPES, "small", Recipe("widths", "nobody", "seconds", compared, "the shortest"))


def test_a_recipe_is_carried_out(jaxgen, small, tmp_path):
    said = jaxgen("reproduce", "small", "--out", str(tmp_path / "out"))
    assert said.status == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    (line,) = (line for line in said.out.splitlines() if "wide" in line and "6.3" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    row = results["rows"]["wide"]["modes"]
    assert cells[:3] == ["wide", "modes", "6.3 ± 0.5"]
    assert (float(cells[3]), cells[5]) == (pytest.approx(row["mean"], rel=1e-3), "2")
    assert "modes: wide" in said.out
    assert "it takes seconds" in said.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "pacgan-mixture"], "there is no recipe 'pacgan-mixture': did you mean 'pacgan-mixtures'?"),
        (["reproduce", "--quick"], "name the recipe before its options: jaxgen reproduce "),
        (["reproduce", "saturation", "--seeds", "0"], "--seeds must be at least 1, got 0"),
        (["reproduce", "critic-loss", "--only", "--quick"], "--only is followed by the names of models"),
        (["reproduce", "critic-loss", "--only", "Nobody"], "there is no model of this recipe 'Nobody'"),
        (["reproduce", "saturation", "--sedes", "3"], "has no option '--sedes': did you mean '--seeds'?"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(jaxgen, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    said = jaxgen(*arguments)
    assert said.status == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_recipes_are_listed(jaxgen):
    said = jaxgen("reproduce")
    assert said.status == 0
    assert all(name in said.out and recipe.what in said.out for name, recipe in RECIPES.items())
