"""`jaxgen runs`."""

import dataclasses
import json
import shutil

from jaxgen.errors import printable
from jaxgen.runs import read_config, write_config

CONTROLS = ("\x1b]0;title\x07", "\x1b[2J\n", "\u202e", "\x9b31m\r")
"""Set the title of the window, clear the screen, reverse the direction of writing, and colour what follows."""


def test_each_run_is_one_line_with_its_last_metrics(vae, jaxgen):
    result = jaxgen("runs", vae.parent)
    assert result.status == 0
    (line,) = [line for line in result.out.splitlines() if line.startswith(f"{vae.name} ")]
    assert line.split()[1:6] == ["vae", "digits", "1", "20/20", "stopped"]


def test_json_has_all_metrics(vae, jaxgen):
    best = {"step": 10, "value": 1.0, "evaluations": 1}
    (vae / "summary.json").write_text(
        json.dumps({"step": 20, "test": {"a": 1.0, "b": 2, "c": 3, "d": 4}, "best": best})
    )
    try:
        (run,) = json.loads(jaxgen("runs", vae, "--json").out)
        assert run["metrics"] == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
        assert jaxgen("runs", vae).out.splitlines()[1].endswith("complete  a 1, b 2, c 3 (best, step 10)")
    finally:
        (vae / "summary.json").unlink()


def test_folder_without_runs_is_refused(tmp_path, refused, monkeypatch):
    assert "there are no runs below" in refused("runs", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert refused("runs").startswith("there is no folder 'runs'")


def test_control_sequences_of_run_folders_are_escaped(vae, tmp_path, jaxgen):
    """Of the name of a folder, of an error that quotes a file, of the model, the data and a metric."""
    description = read_config(vae)
    for number, text in enumerate(CONTROLS):
        run = shutil.copytree(vae, tmp_path / f"{number}{text}")
        config = dataclasses.replace(description.config, data=f"data{text}")
        write_config(run, description._replace(config=config, preset=f"preset{text}"))
        (run / "summary.json").write_text(json.dumps({"step": 20, "test": {f"a{text}": 1.0}}))
        bad = shutil.copytree(vae, tmp_path / f"bad{number}")
        (bad / "config.json").write_text(json.dumps({"format": 1, "config": {}, text: text}))
    result = jaxgen("runs", tmp_path)
    assert result.status == 0
    assert len(result.out.splitlines()) == 1 + 2 * len(CONTROLS)
    assert all(line.isprintable() for line in result.out.splitlines())
    for text in CONTROLS:
        assert result.out.count(printable(f"{text}")) >= 4
