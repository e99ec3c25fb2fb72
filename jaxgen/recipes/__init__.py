"""Named, published experiments: models, protocol, and published numbers to compare with."""

from jaxgen.recipes.published import RECIPES
from jaxgen.recipes.recipe import Outcome, Recipe, Request, run_recipe

__all__ = ["RECIPES", "Outcome", "Recipe", "Request", "run_recipe"]
