"""Metrics that judge generated samples: pure functions of samples or of features."""

from jaxgen.metrics.modes import ModeCoverage, label_coverage, mode_coverage

__all__ = ["ModeCoverage", "label_coverage", "mode_coverage"]
