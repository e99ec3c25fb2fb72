"""`jaxgen compare`."""

import json

import pytest
from PIL import Image


@pytest.mark.parametrize("columns", ["20", "100"])
def test_tables_and_figure_show_all_runs(columns, vae, cvae, tmp_path, jaxgen, monkeypatch):
    """The tables are as wide as they have to be, whatever the width of a terminal, as they are written to a file."""
    monkeypatch.setenv("COLUMNS", columns)
    for folder, loss in ((vae, "vae/loss"), (cvae, "cvae/loss")):
        entry = {"step": 20, loss: 2.0, "seeds": {loss: [1.0, 3.0]}}
        (folder / "metrics.jsonl").write_text(json.dumps(entry))
        several = {"mean": -7.5, "sd": 0.25, "worst": -8, "seeds": [-7, -8]}
        value = several if folder is cvae else -8.5
        (folder / "summary.json").write_text(json.dumps({"step": 20, "test": {"elbo": value}}))
    try:
        result = jaxgen("compare", vae, cvae, "--out", tmp_path / "x.png")
    finally:
        for folder in (vae, cvae):
            (folder / "summary.json").unlink()
            (folder / "metrics.jsonl").unlink()
    assert result.status == 0
    rows = [line.replace("│", "").split() for line in result.out.splitlines()]
    assert ["model", "vae", "cvae"] in rows
    assert ["step", "20", "20"] in rows
    assert ["elbo", "-8.5", "-7.5", "±", "0.25"] in rows
    assert rows[-1] == [str(tmp_path / "x.png")]
    with Image.open(tmp_path / "x.png") as figure:
        assert figure.size[0] > 500


def test_wrong_arguments_are_refused(vae, tmp_path, refused):
    assert refused("compare") == "jaxgen compare needs RUN: run folders"
    assert "is not a run folder" in refused("compare", vae, tmp_path, "--out", tmp_path / "x.png")
    assert "each run must be given once" in refused("compare", vae, vae)
    assert "give a name that ends in .png, .pdf or .svg" in refused("compare", vae, "--out", "x.npz")
