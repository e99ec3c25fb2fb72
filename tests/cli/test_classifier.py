"""Commands on a run of a classifier, which has metrics but neither samples nor latents."""

import json

import pytest

from jaxgen.runs import evaluate_run, load_run


def test_evaluate_prints_accuracy_and_cross_entropy(classifier, jaxgen):
    result = jaxgen("evaluate", classifier, "--json")
    assert result.status == 0
    metrics = json.loads(result.out)
    assert set(metrics) == {"accuracy", "cross_entropy"}
    assert metrics == pytest.approx(evaluate_run(load_run(classifier)))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["sample"], "the model 'classifier' does not sample"),
        (["sample", "--label", 3], "the model 'classifier' does not sample"),
        (["encode"], "the model 'classifier' has no encoder, so it has no latents of examples"),
        (["reconstruct"], "the model 'classifier' has no encoder or no decoder, so it cannot reconstruct"),
        (
            ["reconstruct", "--label", 3],
            "the model 'classifier' has no encoder or no decoder, so it cannot reconstruct",
        ),
        (["reconstruct", "--label", "all"], "the model 'classifier' has no encoder or no decoder, so it cannot"),
    ],
)
@pytest.mark.parametrize("name", ["x.png", "x.npz"])
def test_what_needs_samples_or_latents_is_refused(arguments, sentence, name, classifier, refused, tmp_path):
    command, *more = arguments
    assert refused(command, classifier, "--out", tmp_path / name, *more).startswith(sentence)
    assert list(tmp_path.iterdir()) == []
