"""Augmentations of the images that a discriminator is given, real and generated ones alike.

They differ from those of training data (`jaxgen.data.Augmentation`), which a generator learns to generate.
"""

from jaxgen.augmentation.control import adjusted_probability
from jaxgen.augmentation.diff_augment import diff_augment
from jaxgen.augmentation.pipeline import PIPELINES, augment

__all__ = ["PIPELINES", "adjusted_probability", "augment", "diff_augment"]
