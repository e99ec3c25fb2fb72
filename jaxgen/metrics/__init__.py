"""Metrics of generated samples: pure functions of samples, labels or features."""

from jaxgen.metrics.modes import ModeCoverage, label_coverage, mode_coverage

__all__ = ["ModeCoverage", "label_coverage", "mode_coverage"]
