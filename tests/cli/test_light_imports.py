"""Imports of packages without what they use if it is installed."""

import subprocess
import sys

import pytest

from jaxgen.cli.light_imports import import_without


def test_the_other_package_is_absent_during_the_import_alone(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "some_package.py").write_text(
        "try:\n    import heavy_package\nexcept ImportError:\n    found = False\n"
    )
    (tmp_path / "heavy_package.py").write_text("")
    import_without("some_package", unused="heavy_package")
    assert "heavy_package" not in sys.modules
    assert sys.modules["some_package"].found is False
    import heavy_package

    assert heavy_package.__file__ == str(tmp_path / "heavy_package.py")


def test_an_import_that_fails_leaves_nothing_behind():
    with pytest.raises(ModuleNotFoundError):
        import_without("no_such_package", unused="another_package")
    assert "another_package" not in sys.modules


def test_training_imports_neither_pytorch_nor_scikit_learn(tmp_path):
    program = (
        "import sys\nfrom jaxgen.cli.main import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n"
        "    assert stop.code == 0\nassert not {'torch', 'sklearn', 'scipy.stats'} & set(sys.modules)\n"
        "assert 'tensorboardX' in sys.modules"
    )
    arguments = [
        "train",
        "autoencoder",
        "--hidden",
        "4",
        "--latent-dim",
        "2",
        "--steps",
        "1",
        "--out",
        tmp_path / "run",
    ]
    result = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
