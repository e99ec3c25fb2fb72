"""`jaxgen runs`."""

import json


def test_each_run_is_one_line_with_its_last_metrics(vae, jaxgen):
    result = jaxgen("runs", vae.parent)
    assert result.status == 0
    (line,) = [line for line in result.out.splitlines() if line.startswith(f"{vae.name} ")]
    assert line.split()[1:6] == ["vae", "digits", "1", "0/20", "stopped"]


def test_json_has_all_metrics(vae, jaxgen):
    (vae / "summary.json").write_text('{"step": 20, "test": {"a": 1.0, "b": 2.0, "c": 3.0, "d": {"mean": 4.0}}}')
    try:
        (run,) = json.loads(jaxgen("runs", vae, "--json").out)
        assert run["metrics"] == {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
        assert jaxgen("runs", vae).out.splitlines()[1].endswith("complete  a 1, b 2, c 3")
    finally:
        (vae / "summary.json").unlink()


def test_folder_without_runs_is_refused(tmp_path, refused, monkeypatch):
    assert "there are no runs below" in refused("runs", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert refused("runs").startswith("there is no folder 'runs'")
