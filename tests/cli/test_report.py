"""`jaxgen analyze`: the page, the table, and what is refused."""

import json
import shutil

import pytest


def test_the_page_and_the_numbers_are_told(vae, tmp_path, jaxgen):
    said = jaxgen("analyze", vae, "--out", tmp_path / "deep" / "out", "--seed", 3)
    assert said.status == 0
    page = tmp_path / "deep" / "out" / "index.html"
    assert said.out.splitlines()[0] == "vae on digits, step 20"
    assert said.out.splitlines()[-1] == str(page)
    content = json.loads((page.parent / "analysis.json").read_text())
    assert content["seed"] == 3
    assert f"{content['numbers']['codes_prior_mmd']:.5g}" in said.out
    assert content["left_out"]["Losses"] == "the log has no losses"  # This run has none.
    assert not (vae / "analysis").exists()


def test_the_data_may_have_moved(vae, tmp_path, jaxgen):
    assert jaxgen("analyze", vae, "--out", tmp_path / "out", "--data-dir", tmp_path).status == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["nowhere"], "nowhere is not a run folder: it has no config.json"),
        (["RUN", "--seed", "-1"], "--seed must be between 0 and 2147483647, got -1"),
        (["RUN", "--out", "FILE"], "cannot write to the folder 'FILE': File exists"),
        (["RUN", "--out", "FILE/out"], "cannot write to the folder 'FILE/out': Not a directory"),
        (["RUN", "--ot", "x"], "did you mean '--out'?"),
    ],
)
def test_mistakes_get_one_sentence(wrong, said, vae, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").touch()
    assert said in refused("analyze", *[vae if word == "RUN" else word for word in wrong])


def test_a_run_without_checkpoint_is_refused(vae, tmp_path, refused):
    run = shutil.copytree(vae, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    assert refused("analyze", run).startswith("there is no checkpoint in ")
