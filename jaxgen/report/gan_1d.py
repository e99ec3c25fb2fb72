"""Section "1-D GAN": data, generator and discriminator of a 1-D GAN from the start to the end of the training."""

from jaxgen.callbacks.gan_1d_figure import Gan1D, why_not_gan_1d
from jaxgen.report.run_functions import checkpointed_runs, state_of
from jaxgen.report.section import NotApplicable, ReportInput, Section, png


def gan_1d(inputs: ReportInput) -> Section:
    """Plot the densities, the discriminator and the generator before training and at every checkpoint."""
    figure = make_gan_1d(inputs)
    snapshots = [
        figure.snapshot(state_of(run), f"step {step}")
        for step, run in checkpointed_runs(inputs.run, inputs.shown_number)
    ]
    steps = ", ".join(snapshot.title.removeprefix("step ") for snapshot in snapshots)
    caption = (
        f"The 1-D GAN at steps {steps}: before training, and at the stored checkpoints. Dotted: density of the data; "
        "red: histogram of samples; dashed: the discriminator's probability of being real. Below: lines from latents "
        "to their samples. At the optimum the two densities are equal and the discriminator is 1/2 everywhere "
        "(Goodfellow et al. 2014, arXiv:1406.2661, figure 1)." + average_note(inputs)
    )
    return Section([png("gan_1d", figure.draw(snapshots), caption)])


def make_gan_1d(inputs: ReportInput) -> Gan1D:
    """Return what draws a 1-D GAN and evaluates its densities.

    Args:
        inputs: run and its data.

    Returns:
        The figure, with the axis of the training examples.

    Raises:
        NotApplicable: if the run is not a 1-D GAN with a known density and a discriminator that gives probabilities.
    """
    run = inputs.run
    loss = getattr(run.config.model_config, "loss", None)
    if reason := why_not_gan_1d(run.model, data=run.config.data, loss=loss, example=run.example):
        raise NotApplicable(reason)
    return Gan1D(run.model, run.config.data, inputs.training_examples["point"], inputs.key)


def average_note(inputs: ReportInput) -> str:
    """Return the sentence of a caption for a generator that is not the averaged one; empty without averages."""
    if not inputs.run.state.ema:
        return ""
    return (
        " The generator is the one with which the discriminator is trained, not the moving average from which the "
        "samples of other sections are drawn."
    )
