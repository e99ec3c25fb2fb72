"""Analysis of games with known optima, of trained generators and of their latents."""

from jaxgen._interpolation import lerp, slerp
from jaxgen.analysis.best_response import AgainstOptimum, compare_with_optimum, sample_gradients, train_discriminator
from jaxgen.analysis.latent_density import LatentDensity, aggregate_posterior_mmd, fit_latent_density
from jaxgen.analysis.latents import arithmetic, class_means, interpolate, manifold_grid, traversals
from jaxgen.analysis.optimum import (
    generator_gradient,
    optimal_discriminator,
    optimal_logits,
    value_at_optimum,
    value_from_logits,
)
from jaxgen.analysis.projection import Projection, new_noise, noise_correlation, project
from jaxgen.analysis.stacked_digits import DigitPrediction, predict_stacked_digits, stacked_logits
from jaxgen.analysis.style_directions import closed_form_directions
from jaxgen.analysis.stylized_images import match_colours, mixed_style, stylized_pairs
from jaxgen.analysis.support_estimation import (
    BirthdayTest,
    NearestPairs,
    SupportSize,
    birthday_test,
    nearest_pairs,
    smallest_distance,
    support_size,
)

__all__ = [
    "AgainstOptimum",
    "BirthdayTest",
    "DigitPrediction",
    "LatentDensity",
    "NearestPairs",
    "Projection",
    "SupportSize",
    "aggregate_posterior_mmd",
    "arithmetic",
    "birthday_test",
    "class_means",
    "closed_form_directions",
    "compare_with_optimum",
    "fit_latent_density",
    "generator_gradient",
    "interpolate",
    "lerp",
    "manifold_grid",
    "match_colours",
    "mixed_style",
    "nearest_pairs",
    "new_noise",
    "noise_correlation",
    "optimal_discriminator",
    "optimal_logits",
    "predict_stacked_digits",
    "project",
    "sample_gradients",
    "slerp",
    "smallest_distance",
    "stacked_logits",
    "stylized_pairs",
    "support_size",
    "train_discriminator",
    "traversals",
    "value_at_optimum",
    "value_from_logits",
]
