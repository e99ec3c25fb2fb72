"""Section "Sample quality over training": the sample metrics that were logged during training."""

from jaxgen import plot
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.report.feature_curves import is_feature_metric
from jaxgen.report.section import NotApplicable, ReportInput, Section, check_curves, png


def quality(inputs: ReportInput) -> Section:
    """Plot the logged sample metrics over training, and report the last sliced Wasserstein distance."""
    logged = {name for line in inputs.log for name in line if name.startswith(PREFIX)}
    names = sorted(name for name in logged if not is_feature_metric(name))
    if not names:
        raise NotApplicable("the log has no sample metrics")
    check_curves(names)
    steps, curves = inputs.history(*names)
    metrics = dict(zip((name.removeprefix(PREFIX) for name in names), curves, strict=True))
    figure = plot.training_curves(steps, {name: {inputs.run.name: curve} for name, curve in metrics.items()})
    last = {name: metrics[name][:, -1].tolist() for name in ("sliced_wasserstein",) if name in metrics}
    return Section([png("quality", figure, CAPTION)], last)


CAPTION = (
    "Metrics of samples during training, always from the same latents. sliced_wasserstein is the distance from as many "
    "training examples; it should decrease, but not to 0, since two samples of the data differ as well. On a mixture, "
    "modes (those with a sample of high quality) and high_quality (share of samples within 3 standard deviations of a "
    "mode) should increase, and mode_kl_all, the KL divergence of the shares of the modes from the true ones, of all "
    "samples, should decrease to 0 (Srivastava et al. 2017, arXiv:1705.07761)."
)
