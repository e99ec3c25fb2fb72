"""Callbacks of `fit`: what happens on the host between two compiled chunks of steps.

A callback is a function of a `Chunk`; metrics that it returns are passed on to the callbacks after it. Order matters:
`SampleMetrics` comes before `MetricsLog`, which records them, and `Checkpoints` comes last, so that no checkpoint is
ever ahead of the log and the images.
"""

from jaxgen.callbacks.checkpoints import Checkpoints
from jaxgen.callbacks.image_grid import ImageGrid
from jaxgen.callbacks.log import MetricsLog
from jaxgen.callbacks.logged_feature_metrics import FeatureMetrics
from jaxgen.callbacks.profile import Profile
from jaxgen.callbacks.progress import Progress
from jaxgen.callbacks.sample_metrics import SampleMetrics

__all__ = ["Checkpoints", "FeatureMetrics", "ImageGrid", "MetricsLog", "Profile", "Progress", "SampleMetrics"]
