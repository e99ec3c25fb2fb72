"""Output files of commands: valid names, folders that exist, full disks, and damaged checkpoints."""

import pytest


def test_invalid_output_is_refused_before_any_work(refused, vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("sample", "reconstruct", "encode"):
        assert ".png, .pdf, .svg or .npz" in refused(command, vae, "--out", "x.jpgg")
        assert "no folder 'no'" in refused(command, vae, "--out", "no/x.png")
        assert "--n must be at least 1, got 0" in refused(command, vae, "--n", "0")
    for command in ("sample", "evaluate"):
        assert "--seed must be between" in refused(command, vae, "--seed", 10**20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["x.png", "x.npz"])
@pytest.mark.parametrize("command", ["sample", "reconstruct", "encode"])
def test_full_disk_leaves_previous_file_unchanged(command, name, refused, vae, tmp_path, full_disk):
    (tmp_path / name).write_bytes(b"of another day")
    with full_disk(free=100):
        sentence = refused(command, vae, "--out", tmp_path / name)
    assert sentence == f"{tmp_path / name} could not be written: File too large"
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"of another day")]


@pytest.mark.parametrize("command", ["sample", "reconstruct", "encode", "evaluate"])
def test_damaged_checkpoint_is_skipped_with_a_notice(command, jaxgen, damaged, tmp_path):
    out = [] if command == "evaluate" else ["--out", tmp_path / "x.npz"]
    result = jaxgen(command, damaged, *out)
    assert result.status == 0
    (line,) = result.err.splitlines()
    assert line.startswith("jaxgen: skipping a checkpoint: the checkpoint of step 20 is damaged")
