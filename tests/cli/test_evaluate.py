"""`jaxgen evaluate`: the same metrics as JSON and as a table."""

import json


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
