"""Section "Predictions": the confusion matrix of a classifier on the test split."""

import numpy as np

from jaxgen import plot
from jaxgen.data import Stream
from jaxgen.data.large_arrays import LARGEST_BATCH
from jaxgen.report.section import NotApplicable, ReportInput, Section, offered, png
from jaxgen.runs.loading import Run
from jaxgen.typing import Batch, Int


def predictions(inputs: ReportInput) -> Section:
    """Compare the predicted labels of the test split with the true ones."""
    offered(inputs.run.model.predict, "the model does not classify")
    if "label" not in inputs.test_examples:
        raise NotApplicable("the data have no labels")
    matrices = [_confusion(run, inputs.test_split) for run in inputs.runs]
    caption = (
        f"Confusion matrix of the {matrices[0].sum():,} examples of the test split: rows are true labels, columns are "
        "predicted labels, and colours show the share of each row. A perfect classifier has 1 on the diagonal. "
        "`accuracy` is the share of correct predictions."
    )
    # In float32, as the metrics of `jaxgen evaluate`.
    accuracy = [float(np.float32(np.trace(matrix) / matrix.sum())) for matrix in matrices]
    return Section(
        [
            png(
                "confusion_matrix",
                plot.confusion_matrix(matrices[inputs.shown], class_names=inputs.run.class_names),
                caption,
            )
        ],
        {"accuracy": accuracy},
    )


def _confusion(run: Run, data: Batch | Stream) -> Int[np.ndarray, "classes classes"]:
    """Number of examples of each true label (row) and predicted label (column)."""
    batches = data.in_order(LARGEST_BATCH) if isinstance(data, Stream) else [data]
    results = [(np.asarray(batch["label"]), np.asarray(run.predict(batch))) for batch in batches]
    labels, logits = (np.concatenate(parts) for parts in zip(*results, strict=True))
    classes = max(run.classes, logits.shape[1])
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    return counts
