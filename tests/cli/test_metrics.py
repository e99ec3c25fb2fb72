"""`jaxgen metrics weights`: published weights are installed from a file."""

import dataclasses
import hashlib

import pytest
import torch

from jaxgen.metrics.extractors import PUBLISHED_WEIGHTS


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_installs_weights_from_a_file(tmp_path, folder, jaxgen, monkeypatch):
    torch.save({"a": torch.ones(2)}, tmp_path / "file.pth")
    digest = hashlib.sha256((tmp_path / "file.pth").read_bytes()).hexdigest()
    small = dataclasses.replace(PUBLISHED_WEIGHTS["inception"], sha256=digest, convert=dict)
    monkeypatch.setitem(PUBLISHED_WEIGHTS, "inception", small)
    result = jaxgen("metrics", "weights", "inception", "--from", tmp_path / "file.pth")
    assert result == (0, f"{folder / 'inception.safetensors'}\n", "")
    assert (folder / "inception.json").exists()


def test_invalid_arguments_give_one_sentence(tmp_path, refused):
    (tmp_path / "other.pth").write_bytes(b"something")
    found = refused("metrics", "weights", "inception", "--from", tmp_path / "other.pth")
    assert found.startswith(
        f"{tmp_path / 'other.pth'} must be pt_inception-2015-12-05-6726825d.pth or weights-inception-"
    )
    assert found.endswith("and run: jaxgen metrics weights inception --from pt_inception-2015-12-05-6726825d.pth")
    assert refused("metrics", "weights", "inception", "--from", "no").startswith("No such file or directory: no")
    assert "needs either --from FILE or --download, got none: fetch https://" in refused(
        "metrics", "weights", "inception"
    )
    both = refused("metrics", "weights", "inception", "--download", "--from", "no")
    assert "needs either --from FILE or --download, got both" in both
    assert "has no option '--form': did you mean '--from'?" in refused("metrics", "weights", "inception", "--form", "x")
    assert refused("metrics", "weights", "vgg").startswith("NAME cannot be 'vgg': did you mean 'vgg16'?")
    assert refused("metrics", "weigths") == "ACTION cannot be 'weigths': did you mean 'weights'?"
    assert refused("metrics").startswith("jaxgen metrics needs ACTION: ")


def test_action_has_help_of_its_own(jaxgen):
    result = jaxgen("metrics", "weights", "--help")
    assert result.status == 0
    assert "--from PATH" in result.out
