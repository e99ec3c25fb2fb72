"""`jaxgen compare`."""

import json

from PIL import Image


def test_tables_and_figure_show_all_runs(vae, cvae, tmp_path, jaxgen, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    for folder, loss in ((vae, "vae/loss"), (cvae, "cvae/loss")):
        entry = {"step": 20, loss: 2.0, "seeds": {loss: [1.0, 3.0]}}
        (folder / "metrics.jsonl").write_text(json.dumps(entry))
        value = '{"mean": -7.5, "sd": 0.25}' if folder is cvae else "-8.5"
        (folder / "summary.json").write_text(f'{{"step": 20, "test": {{"elbo": {value}}}}}')
    try:
        result = jaxgen("compare", vae, cvae, "--out", tmp_path / "x.png")
    finally:
        for folder in (vae, cvae):
            (folder / "summary.json").unlink()
            (folder / "metrics.jsonl").unlink()
    assert result.status == 0
    rows = [line.replace("│", "").split() for line in result.out.splitlines()]
    assert ["model", "vae", "cvae"] in rows
    assert ["elbo", "-8.5", "-7.5", "±", "0.25"] in rows
    assert rows[-1] == [str(tmp_path / "x.png")]
    with Image.open(tmp_path / "x.png") as figure:
        assert figure.size[0] > 500


def test_wrong_arguments_are_refused(vae, tmp_path, refused):
    assert refused("compare") == "jaxgen compare needs RUN: run folders"
    assert "is not a run folder" in refused("compare", vae, tmp_path, "--out", tmp_path / "x.png")
    assert "each run must be given once" in refused("compare", vae, vae)
    assert "give a name that ends in .png, .pdf or .svg" in refused("compare", vae, "--out", "x.npz")
