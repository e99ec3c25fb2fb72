"""Metrics that judge generated samples: pure functions of samples or of features."""

from jaxgen.metrics.modes import ModeCoverage, mode_coverage

__all__ = ["ModeCoverage", "mode_coverage"]
