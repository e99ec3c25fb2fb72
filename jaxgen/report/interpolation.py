"""Section "Interpolation": decoded paths between two latents, on a line and on a great circle."""

import numpy as np

from jaxgen import plot
from jaxgen.analysis import interpolate
from jaxgen.report.run_functions import decode, indices_over_classes, label_note, prior_latents, select_examples
from jaxgen.report.section import NO_DECODER, ReportInput, Section, offered, png, require_images

PAIRS = 4
"""Number of pairs of latents."""

STEPS = 10
"""Number of latents on each path."""


def interpolation(inputs: ReportInput) -> Section:
    """Decode paths between the latents of test examples of different classes, or between drawn latents."""
    require_images(inputs)
    run = inputs.shown_run
    offered(run.model.decode, NO_DECODER)
    label, note = None, label_note(run)
    if run.model.encode is None:
        latents, ends = prior_latents(run, inputs.key, 2 * PAIRS), "draws from the prior"
    else:
        batch = select_examples(inputs.test_examples, indices_over_classes(inputs.test_examples, 2 * PAIRS))
        latents, ends = run.encode(batch), "latents of test examples"
        if "label" in run.model.conditions:
            label, note = batch["label"], " The label of the first example is used along the whole path."
    rows: dict[str, np.ndarray] = {}
    for i in range(PAIRS):
        for name, spherical in (("line", False), ("arc", True)):
            path = interpolate(latents[2 * i], latents[2 * i + 1], STEPS, spherical=spherical)
            rows[f"{name} {i + 1}"] = decode(run, path, 0 if label is None else label[2 * i])
    caption = (
        f"Decoded paths between {PAIRS} pairs of {ends}, each on a straight line and on an arc of a great circle. One "
        "image should change into the other through images that could be data themselves. In many dimensions the "
        "straight line passes through latents of a smaller norm than samples of the prior have, and its middle may be "
        f"blurred or unrealistic (White 2016, arXiv:1609.04468, section 2.1).{note}"
    )
    return Section([png("interpolation", plot.image_rows(rows), caption)])
