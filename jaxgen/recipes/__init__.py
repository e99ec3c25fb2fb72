"""Named, published experiments: models, protocol, and published numbers to compare with."""

from jaxgen.recipes.execution import run_recipe
from jaxgen.recipes.published import RECIPES
from jaxgen.recipes.recipe import Outcome, Recipe, Request

__all__ = ["RECIPES", "Outcome", "Recipe", "Request", "run_recipe"]
