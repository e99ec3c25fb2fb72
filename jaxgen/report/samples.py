"""Section "Samples": new examples."""

from jaxgen import plot
from jaxgen.callbacks.image_grid import layout
from jaxgen.report.section import NO_SAMPLES, ReportInput, Section, offered, png, preprocessed


def samples(inputs: ReportInput) -> Section:
    """Plot new samples: images in a grid, points over those of the test split."""
    run = inputs.first_run
    offered(run.model.sample, NO_SAMPLES)
    count, columns = layout(run.model, run.example)
    data = None if inputs.has_images else preprocessed(inputs.test_examples)[:count]
    figure = plot.samples(run.sample(inputs.key, count), data=data, columns=columns)
    return Section([png("samples", figure, IMAGES if inputs.has_images else POINTS)])


IMAGES = (
    "New samples of the model; for a conditional model each column is a class. They should resemble the images of the "
    "data and differ from each other."
)
POINTS = "New samples of the model over as many points of the test split. Both should have the same density everywhere."
