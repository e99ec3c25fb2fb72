"""Section "Evaluation on the test split": the metrics of `jaxgen evaluate`."""

import numpy as np

from jaxgen.report.section import NotApplicable, ReportInput, Section
from jaxgen.runs.evaluation import evaluate_run


def evaluation(inputs: ReportInput) -> Section:
    """Compute the metrics of the model on the test split, and those of its samples where the modes are known."""
    several_seeds = inputs.run.config.seeds is not None
    metrics = {}
    for name, value in evaluate_run(inputs.run, seed=inputs.seed, data=inputs.test_split).items():
        values = [value["seeds"][i] for i in inputs.finite] if several_seeds else [value]
        metrics[name] = [np.nan if value is None else value for value in values]
    if not metrics:
        raise NotApplicable("the model has no metrics of examples or samples")
    return Section(metrics=metrics)
