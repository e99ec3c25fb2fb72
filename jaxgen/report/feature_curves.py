"""Section "Metrics of features over training": the numbers with protocols that were logged during training."""

from collections.abc import Mapping

import numpy as np

from jaxgen import plot
from jaxgen.analysis.feature_metrics import NUMBERS
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.errors import InputError
from jaxgen.metrics.protocol import Protocol, metric_of
from jaxgen.report.section import NotApplicable, ReportInput, Section, check_curves, png
from jaxgen.typing import Float

DIRECTIONS: Mapping[str | None, str] = {
    "smaller": "lower is better",
    "larger": "higher is better",
    None: "neither lower nor higher is better",
}
"""Which values are better -> as it is written at a curve."""


def feature_metrics(inputs: ReportInput) -> Section:
    """Plot the logged metrics of features, and report the value at the last step beside the best one."""
    names = sorted({name for line in inputs.log for name in line if is_feature_metric(name)})
    if not names:
        raise NotApplicable("the log has no metrics of features: train with --metrics, e.g. fid")
    check_curves(names)
    steps, curves = inputs.history(*names)
    values = dict(zip((name.removeprefix(PREFIX) for name in names), curves, strict=True))
    protocols = {name: Protocol.parse(name) for name in values}
    labels = {name: f"{each.metric}, {NUMBERS[each.metric].unit}" for name, each in protocols.items()}
    figure = plot.training_curves(
        steps,
        {labels[name]: {inputs.run.name: curve} for name, curve in values.items()},
        titles={
            labels[name]: [DIRECTIONS[NUMBERS[each.metric].better], *each.lines()] for name, each in protocols.items()
        },
    )
    metrics = {}
    for name, curve in values.items():
        metrics[f"{name}, final"] = curve[:, -1].tolist()
        if NUMBERS[protocols[name].metric].better is not None:
            metrics[f"{name}, best"] = [_best(name, of_seed) for of_seed in curve]
    return Section([png("feature_metrics", figure, CAPTION)], metrics)


def is_feature_metric(name: str) -> bool:
    """Return whether a name in the log is that of a metric of features, which ends in its protocol."""
    if not name.startswith(PREFIX):
        return False
    try:
        return Protocol.parse(name.removeprefix(PREFIX)).metric in NUMBERS
    except InputError:
        return False


def _best(name: str, values: Float[np.ndarray, " steps"]) -> float:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan")
    return float(finite.min() if NUMBERS[metric_of(name)].better == "smaller" else finite.max())


CAPTION = (
    "Metrics of the features of samples during training, always from the same latents. Above each curve: which values "
    "are better, and the protocol: the extractor and its resizer, the numbers of real examples and of samples, and the "
    "split. Values of other protocols do not compare. The table has the value at the last step beside the best one of "
    "the training, which is a choice by this metric and therefore optimistic."
)
