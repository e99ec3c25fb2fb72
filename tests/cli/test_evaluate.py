"""`jaxgen evaluate`: the same metrics as JSON and as a table."""

import json

import pytest


def test_table_shows_the_metrics_of_the_json(vae, jaxgen):
    status, out, _ = jaxgen("evaluate", vae, "--json")
    assert status == 0
    elbo = json.loads(out)["elbo"]
    assert elbo < 0
    status, table, _ = jaxgen("evaluate", vae)
    assert status == 0
    assert table.startswith("vae on the test split of digits, step 20\n")
    assert f"{elbo:.5g}" in table


def test_several_seeds_have_mean_deviation_and_worst(cvae, jaxgen):
    elbo = json.loads(jaxgen("evaluate", cvae, "--json").out)["elbo"]
    assert elbo["worst"] == min(elbo["seeds"])
    (row,) = (line for line in jaxgen("evaluate", cvae).out.splitlines() if " elbo " in line)
    assert [f"{elbo[column]:.5g}" for column in ("mean", "sd", "worst")] == row.replace("│", " ").split()[1:]


def test_model_without_metrics_is_refused(vae, refused, monkeypatch):
    monkeypatch.setattr("jaxgen.cli.evaluate.evaluate_run", lambda run, seed, data: {})
    assert refused("evaluate", vae) == "the model 'vae' has no metrics on 'digits'"


def test_chosen_metrics_are_printed_with_their_protocols(vae, jaxgen):
    found = json.loads(
        jaxgen("evaluate", vae, "--metrics", "precision_recall", "rate", "--samples", "200", "--json").out
    )
    assert list(found) == [
        "precision[digits_v1, none, n=1437/200, split=train, k=3]",
        "recall[digits_v1, none, n=1437/200, split=train, k=3]",
        "rate[n=360, split=test, data=digits, pixels as they are]",
    ]
    kl = json.loads(jaxgen("evaluate", vae, "--json").out)["kl"]
    assert found["rate[n=360, split=test, data=digits, pixels as they are]"] == pytest.approx(kl, rel=1e-4)


def test_chosen_metrics_of_several_seeds_have_mean_deviation_and_worst(cvae, jaxgen):
    found = json.loads(jaxgen("evaluate", cvae, "--metrics", "vendi_score", "--samples", "50", "--json").out)
    ((_, vendi),) = found.items()
    assert vendi["worst"] == min(vendi["seeds"])
    assert len(vendi["seeds"]) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "fod"], "there is no metric 'fod': did you mean 'fid'?"),
        (["--metrics"], "--metrics must be followed by at least one name"),
        (["--samples", "10"], "--samples must be left out without --metrics of features"),
        (["--metrics", "rate", "--extractor", "digits_v1"], "--extractor must be left out without --metrics of featu"),
        (["--metrics", "fid", "--draws", "9"], "--draws must be left out without --metrics importance_weighted_bound"),
        (["--metrics", "fid", "--samples", "1"], "--samples must be at least 2, got 1"),
        (["--metrics", "intra_class", "--samples", "20"], "intra_class must have labels of both sets"),
        (["--metrics", "importance_weighted_bound", "--draws", "0"], "k must be at least 1"),
    ],
)
def test_metrics_that_do_not_apply_are_refused(vae, refused, options, message):
    assert message in refused("evaluate", vae, *options)


def test_classifier_has_no_metrics_of_samples_or_densities(classifier, refused):
    assert refused("evaluate", classifier, "--metrics", "fid") == "the model 'classifier' does not sample"
    assert "has no densities" in refused("evaluate", classifier, "--metrics", "rate")
