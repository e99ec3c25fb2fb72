"""Published weights are checked, converted once, and loaded only as they were converted."""

import dataclasses
import hashlib
import json
import urllib.error

import numpy as np
import pytest
import torch

from jaxgen.errors import InputError
from jaxgen.installed_weights import (
    PublishedWeights,
    download_weights,
    install_weights,
    load_weights,
    weights_folder,
)
from jaxgen.metrics.extractors.conversion import published_array
from jaxgen.metrics.extractors.inception import INCEPTION_WEIGHTS

URL = "https://localhost/small-0.pth"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of weights."""
    monkeypatch.setenv("JAXGEN_WEIGHTS", str(tmp_path / "a" / "weights"))
    return tmp_path / "a" / "weights"


def convert(arrays):
    return {"layer/kernel": published_array(arrays, "weight", (2, 3)).T}


@pytest.fixture
def file(tmp_path):
    torch.save({"weight": torch.arange(6.0).reshape(2, 3)}, tmp_path / "file.pth")
    return tmp_path / "file.pth"


@pytest.fixture
def weights(file):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return PublishedWeights(name="small", files=("small-0.pth",), sha256=digest, url=URL, convert=convert)


HOW = f"fetch {URL} and run: jaxgen metrics weights small --from small-0.pth"


def test_installed_weights_are_loaded_without_the_file(weights, file, folder):
    path = install_weights(weights, file)
    assert path == folder / "small.safetensors"
    file.unlink()
    found = load_weights(weights)
    assert list(found) == ["layer/kernel"]
    np.testing.assert_array_equal(found["layer/kernel"], [[0, 3], [1, 4], [2, 5]])
    manifest = json.loads((folder / "small.json").read_text())
    assert manifest["source_sha256"] == weights.sha256
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert sorted(entry.name for entry in folder.iterdir()) == ["small.json", "small.safetensors"]


def test_first_digits_of_the_hash_are_compared_where_no_more_are_published(weights, file):
    short = dataclasses.replace(weights, sha256=weights.sha256[:8])
    install_weights(short, file)
    assert load_weights(short)
    other = "0" * 8
    with pytest.raises(InputError, match=f"must be small-0.pth, with the SHA-256 {other}..., got {weights.sha256}: "):
        install_weights(dataclasses.replace(short, sha256=other), file)
    with pytest.raises(InputError, match="must have the SHA-256"):
        load_weights(dataclasses.replace(short, sha256=other))


def test_missing_weights_give_a_sentence_that_says_what_to_do(weights, folder):
    with pytest.raises(InputError) as error:
        load_weights(weights)
    assert str(error.value) == f"the weights of small must be installed in {folder}, got none: {HOW}"


@pytest.mark.parametrize("name", ["small.safetensors", "small.json"])
def test_changed_or_incomplete_weights_are_not_loaded(weights, file, folder, name):
    install_weights(weights, file)
    content = (folder / name).read_bytes()
    for changed in (content[:-9], content[:-9] + b"a" + content[-8:], b"", b"[]", b"\xff", b"[" * 60_000):
        (folder / name).write_bytes(changed)
        with pytest.raises(InputError, match=r"must (have the SHA-256 that small\.json states|be readable)"):
            load_weights(weights)
    (folder / name).unlink()
    with pytest.raises(InputError, match="must be installed"):
        load_weights(weights)
    install_weights(weights, file)
    assert load_weights(weights)


def test_weights_of_another_publication_are_not_loaded(weights, file):
    install_weights(weights, file)
    with pytest.raises(InputError, match="must have the SHA-256"):
        load_weights(dataclasses.replace(weights, sha256="0" * 64))


def test_file_with_another_hash_is_refused(weights, file, folder):
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(InputError) as error:
        install_weights(weights, file)
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(error.value) == f"{file} must be small-0.pth, with the SHA-256 {weights.sha256}, got {found}: {HOW}"
    assert not folder.exists()


def test_download_is_checked_and_leaves_only_the_converted_file(weights, file, folder, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", lambda url, timeout: file.open("rb") if url == URL else None)
    assert download_weights(weights) == folder / "small.safetensors"
    assert load_weights(weights)
    other = dataclasses.replace(weights, sha256="0" * 64)
    with pytest.raises(InputError, match="with the SHA-256 0000"):
        download_weights(other)
    assert sorted(entry.name for entry in folder.iterdir()) == ["small.json", "small.safetensors"]


def test_missing_network_gives_a_sentence_that_says_what_to_do(weights, folder, monkeypatch):
    def unreachable(url, timeout):
        raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(InputError) as error:
        download_weights(weights)
    assert str(error.value) == (
        f"{URL} could not be downloaded ([Errno -3] Temporary failure in name resolution): on a machine with a network "
        f"{HOW}"
    )
    assert list(folder.iterdir()) == []


def test_folder_that_cannot_be_made_gives_a_sentence(weights, file, folder):
    folder.parent.write_text("a file in place of the folder")
    for call in (lambda: install_weights(weights, file), lambda: download_weights(weights)):
        with pytest.raises(
            InputError, match=r"^the folder of weights .* could not be made: Not a directory; JAXGEN_WEIGHTS"
        ):
            call()


def test_folder_is_that_of_the_environment_or_of_caches(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JAXGEN_WEIGHTS", "~/w")
    assert weights_folder() == tmp_path / "w"
    monkeypatch.delenv("JAXGEN_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert weights_folder() == tmp_path / "cache" / "jaxgen" / "weights"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert weights_folder() == tmp_path / ".cache" / "jaxgen" / "weights"


def test_hash_begins_as_the_names_of_the_published_files_end():
    for name in INCEPTION_WEIGHTS.files:
        assert name.endswith(f"-{INCEPTION_WEIGHTS.sha256[:8]}.pth")
    assert INCEPTION_WEIGHTS.url.endswith(INCEPTION_WEIGHTS.files[0])
