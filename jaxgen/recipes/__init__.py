"""Named, published experiments: what to train, by which protocol, and which numbers should come out."""

from jaxgen.recipes.published import RECIPES
from jaxgen.recipes.recipe import Outcome, Recipe, Request, carry_out

__all__ = ["RECIPES", "Outcome", "Recipe", "Request", "carry_out"]
