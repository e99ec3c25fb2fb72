"""Section "Style transfer": the same latents decoded with every label, for models that are conditional on labels."""

import numpy as np

from jaxgen import plot
from jaxgen.report.run_functions import decode, indices_over_classes, preprocessed, prior_latents, select_examples
from jaxgen.report.section import NO_DECODER, NotApplicable, ReportInput, Section, offered, png, require_images

ROWS = 8
"""Number of latents."""


def style_transfer(inputs: ReportInput) -> Section:
    """Decode the latents of test examples, or drawn latents, with every label."""
    if "label" not in inputs.run.model.conditions:
        raise NotApplicable("the model is not conditional on labels")
    require_images(inputs)
    offered(inputs.run.model.decode, NO_DECODER)
    if inputs.run.model.encode is None:
        return _of_drawn_latents(inputs)
    batch = select_examples(inputs.test_examples, indices_over_classes(inputs.test_examples, ROWS))
    figure = plot.styles(preprocessed(batch), inputs.shown_run.restyle(batch), class_names=inputs.run.class_names)
    caption = (
        "Test examples (left), and their latents decoded with every label. A row should keep its style, such as slant "
        "and stroke width, and a column its class (Kingma et al. 2014, arXiv:1406.5298, figure 1b)."
    )
    return Section([png("styles", figure, caption)])


def _of_drawn_latents(inputs: ReportInput) -> Section:
    """The same for latents from the prior."""
    run, classes = inputs.shown_run, inputs.run.classes
    latents = prior_latents(run, inputs.key, ROWS)
    images = decode(run, np.repeat(latents, classes, axis=0), np.tile(np.arange(classes), ROWS))
    rows = {f"latent {i + 1}": images[i * classes : (i + 1) * classes] for i in range(ROWS)}
    caption = (
        f"{ROWS} latents from the prior, each decoded with every label. A column should keep its class. A row keeps a "
        "style, such as slant and stroke width, if a latent has the same meaning in every class, which the training "
        "does not require (Mirza and Osindero 2014, arXiv:1411.1784)."
    )
    figure = plot.image_rows(rows, columns=plot.label_texts(range(classes), run.class_names))
    return Section([png("styles", figure, caption)])
