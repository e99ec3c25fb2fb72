"""The sections without figures: the metrics of `jaxgen evaluate`, and those that `--metrics` stored before."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgen.report.section import NotApplicable, ReportInput, Section
from jaxgen.runs.evaluation import evaluate_run
from jaxgen.runs.measured_file import metrics_at


def evaluation(inputs: ReportInput) -> Section:
    """Compute the metrics of the model on the test split, and those of its samples where the modes are known."""
    metrics = evaluate_run(inputs.run, seed=inputs.seed, data=inputs.test_split)
    if not metrics:
        raise NotApplicable("the model has no metrics of examples or samples")
    return _of_finite_seeds(inputs, metrics)


def measured(inputs: ReportInput) -> Section:
    """Return the metrics of the reported state that `jaxgen evaluate --metrics` stored, each with its protocol."""
    metrics = metrics_at(inputs.run.folder, inputs.run.config.seeds, inputs.run.step)
    if not metrics:
        raise NotApplicable("none were measured of this state: jaxgen evaluate RUN --metrics, e.g. fid")
    return _of_finite_seeds(inputs, metrics)


def _of_finite_seeds(inputs: ReportInput, metrics: Mapping[str, Any]) -> Section:
    several_seeds = inputs.run.config.seeds is not None
    values = {
        name: [value["seeds"][i] for i in inputs.finite] if several_seeds else [value]
        for name, value in metrics.items()
    }
    return Section(metrics={name: [np.nan if x is None else x for x in of_seeds] for name, of_seeds in values.items()})
