"""The confusion matrix counts all examples of the test split."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from jaxgen.data.streaming import ArraySource, Stream
from jaxgen.report import predictions
from jaxgen.report.metric_tables import evaluation
from jaxgen.report.section import NotApplicable, load_input, single
from tests.report.small_reports import inputs_of


def test_matrix_and_accuracy_are_those_of_scikit_learn_and_of_the_evaluation(trained):
    run = trained("classifier")
    inputs = load_input(run, seed=0)
    accuracies = [section(inputs).metrics["accuracy"] for section in (predictions.predictions, evaluation)]
    test = run.config.source.load("test")
    logits = np.asarray(run.predict(test))
    assert len(logits) == 2
    for seed, of_seed in enumerate(logits):
        expected = confusion_matrix(test["label"], of_seed.argmax(axis=1), labels=range(10))
        np.testing.assert_array_equal(predictions._confusion(single(run, seed), test), expected)
        for accuracy in accuracies:
            assert accuracy[seed] == pytest.approx(np.trace(expected) / len(test["label"]), rel=1e-6)


def test_matrix_of_a_stream_is_that_of_the_arrays(trained, monkeypatch):
    monkeypatch.setattr(predictions, "LARGEST_BATCH", 250)
    run = single(trained("classifier"), 0)
    test = run.config.source.load("test")
    streamed = predictions._confusion(run, Stream(ArraySource(test)))
    np.testing.assert_array_equal(streamed, predictions._confusion(run, test))
    assert streamed.sum() == len(test["label"])


def test_data_without_labels_have_no_confusion_matrix(trained):
    with pytest.raises(NotApplicable, match="the data have no labels"):
        predictions.predictions(inputs_of(trained("classifier")))
