"""`jaxgen evaluate`: the same metrics as JSON and as a table."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from jaxgen.cli import evaluate
from jaxgen.runs.config import NO_DATA
from jaxgen.runs.config_json import read_config, write_config


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
        "precision[digits_v1, none, n=1437/200, split=digits:train, k=3]",
        "recall[digits_v1, none, n=1437/200, split=digits:train, k=3]",
        "rate[bernoulli, k=1, n=360, split=digits:test, pixels as they are]",
    ]
    kl = json.loads(jaxgen("evaluate", vae, "--json").out)["kl"]
    assert found["rate[bernoulli, k=1, n=360, split=digits:test, pixels as they are]"] == pytest.approx(kl, rel=1e-4)


def test_path_lengths_are_measured_by_the_extractor_of_the_data(vae, jaxgen):
    found = json.loads(jaxgen("evaluate", vae, "--metrics", "ppl_zfull", "--samples", "60", "--json").out)
    ((name, value),) = found.items()
    assert name == "perceptual_path_length[digits_v1, none, squared features, z, full, epsilon=0.0001, n=60]"
    assert value > 0


def unmeasured(run, folder):
    """A copy of a run without the metrics that other tests have measured of it."""
    shutil.copytree(run, folder)
    (folder / "measured.jsonl").unlink(missing_ok=True)
    return folder


def test_chosen_metrics_are_stored_and_compared(vae, tmp_path, jaxgen, refused):
    runs = [unmeasured(vae, tmp_path / name) for name in ("a", "b", "c")]
    stored = []
    for seed, (run, samples) in enumerate(zip(runs, (50, 50, 60), strict=True)):
        chosen = ["--metrics", "precision_recall", "--samples", samples, "--seed", seed]
        stored.append(json.loads(jaxgen("evaluate", run, *chosen, "--json").out))
    precision = "precision[digits_v1, none, n=1437/50, split=digits:train, k=3]"
    compared = ["--metrics", "precision", "--out", tmp_path / "figure.png"]
    status, table, _ = jaxgen("compare", *runs[:2], *compared)
    assert status == 0
    for of_run in stored[:2]:
        assert f" {of_run[precision]:.5g} " in table
    assert "n=1437/50" in (sentence := refused("compare", *runs, *compared))
    assert "n=1437/60" in sentence


def test_metrics_of_a_folder_that_cannot_be_written_are_printed_with_a_notice(vae, tmp_path, jaxgen):
    run = unmeasured(vae, tmp_path / "run")
    (run / "measured.jsonl").mkdir()
    status, out, notices = jaxgen("evaluate", run, "--metrics", "rate")
    assert (status, "rate[" in out) == (0, True)
    assert "the metrics are not stored in measured.jsonl" in notices


def test_chosen_metrics_of_several_seeds_have_mean_deviation_and_worst(cvae, jaxgen):
    found = json.loads(jaxgen("evaluate", cvae, "--metrics", "vendi_score", "--samples", "50", "--json").out)
    ((_, vendi),) = found.items()
    assert vendi["worst"] == min(vendi["seeds"])
    assert len(vendi["seeds"]) == 2


def test_classifier_has_no_metrics_of_samples_or_densities(classifier, refused):
    assert refused("evaluate", classifier, "--metrics", "fid") == "the model 'classifier' does not sample"
    assert "has no densities" in refused("evaluate", classifier, "--metrics", "rate")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["fid", "--samples", "1"], "--samples must be at least 2 and below 2^31, got 1"),
        (["fid", "--samples", "2147483648"], "--samples must be at least 2 and below 2^31, got 2147483648"),
        (["importance_weighted_bound", "--draws", "0"], "--draws must be at least 1 and below 2^31, got 0"),
        (["rate", "--draws", "5"], "--draws must be left out without --metrics importance_weighted_bound"),
        (["rate", "--samples", "5"], "--samples must be left out without --metrics of features such as fid"),
        (["ppl_zend", "--split", "test"], "--split must be left out without --metrics of features such as fid"),
        (["ppl_zend", "--samples", "1"], "--samples must be at least 2 and below 2^31, got 1"),
        (["ppl_wend"], "ppl_wend must be of a model with styles, such as stylegan2, and 'vae' has none: use ppl_zend"),
        (["fjd"], "there is no metric 'fjd': did you mean 'fid'?"),
        ([], "--metrics must be followed by at least one name of a metric, got none"),
    ],
)
def test_chosen_metrics_with_options_that_do_not_apply_are_refused(vae, refused, options, sentence):
    assert refused("evaluate", vae, "--metrics", *options).startswith(sentence)


def test_disentanglement_needs_the_data_whose_factors_are_known(vae, refused):
    assert "shapes" in refused("evaluate", vae, "--metrics", "disentanglement")


def test_metrics_of_densities_are_refused_before_samples_are_drawn(vae, refused, monkeypatch):
    loaded = evaluate.load_with_notice

    def without_densities(*arguments, **options):
        run = loaded(*arguments, **options)
        return run._replace(model=run.model._replace(latent_densities=None))

    monkeypatch.setattr(evaluate, "load_with_notice", without_densities)
    monkeypatch.setattr(evaluate, "evaluate_samples", lambda *_, **__: pytest.fail("it takes long"))
    assert refused("evaluate", vae, "--metrics", "fid", "rate") == (
        "the model 'vae' has no densities p(x|z) and q(z|x), which likelihoods need"
    )


def test_a_run_of_points_is_refused_as_such_before_an_extractor_is_looked_for(vae, refused, monkeypatch):
    loaded = evaluate.load_with_notice

    def of_points(*arguments, **options):
        return loaded(*arguments, **options)._replace(example={"point": np.zeros((1, 2), np.float32)})

    monkeypatch.setattr(evaluate, "load_with_notice", of_points)
    assert refused("evaluate", vae, "--metrics", "fid") == "metrics of features are of images, and 'digits' are points"


def test_data_that_are_not_known_are_refused_with_the_way_to_name_them(vae, refused, tmp_path):
    description = read_config(vae)
    folder = shutil.copytree(vae, tmp_path / "imported")
    config = dataclasses.replace(description.config, data=NO_DATA)
    write_config(folder, description._replace(config=config))
    sentence = "data must be named, got 'unknown', as for weights that were imported without them: import the weights"
    for command in (
        ("evaluate", folder),
        ("evaluate", folder, "--metrics", "fid"),
        ("evaluate", folder, "--metrics", "rate"),
        ("reconstruct", folder, "--out", tmp_path / "a.npz"),
        ("encode", folder, "--out", tmp_path / "a.npz"),
        ("report", folder),
        ("train", "--config", folder / "config.json", "--out", tmp_path / "run"),
        ("train", "vae", "--out", folder, "--resume"),
    ):
        assert refused(*command).startswith(sentence), command
