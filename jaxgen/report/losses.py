"""Section "Losses": the loss of every player over training."""

from jaxgen import plot
from jaxgen.report.section import NotApplicable, ReportInput, Section, check_curves, png


def losses(inputs: ReportInput) -> Section:
    """Plot the loss of every player over training."""
    logged = dict.fromkeys(name for line in inputs.log for name in line if name.endswith("/loss"))
    names = [name for name in logged if name.count("/") == 1]  # Those of regularizers have their own name between.
    if not names:
        raise NotApplicable("the log has no losses")
    check_curves(names)
    # Players of different phases have losses at different steps.
    steps, curves = inputs.history(*names, complete=False)
    figure = plot.training_curves(steps, {name: {inputs.run.name: v} for name, v in zip(names, curves, strict=True)})
    return Section([png("losses", figure, CAPTION)])


CAPTION = (
    "Loss of every player, averaged over the steps between two lines of the log; for several seeds the mean over "
    "seeds, plus and minus one standard deviation. The losses of players with opposite objectives need not decrease: "
    "in a GAN each depends on the current opponent, and a discriminator loss (-log D(x) - log(1 - D(G(z)))) of "
    "2 log 2 = 1.386 means that the discriminator cannot distinguish real from generated examples (Goodfellow et al. "
    "2014, arXiv:1406.2661)."
)
