"""Runs of every kind that has a report, trained once per session, also where several processes run the tests."""

import json
import os

import filelock
import pytest

from jaxgen.report import Report, write_report
from jaxgen.runs import load_run, train
from tests.report.small_reports import FAMILIES, MODELS, RUNS


@pytest.fixture(autouse=True)
def short_sections(monkeypatch):
    """Shorten the birthday test, and accept every class that is predicted for a sample of an untrained generator."""
    monkeypatch.setattr("jaxgen.report.birthday.TRIALS", 2)
    monkeypatch.setattr("jaxgen.report.arithmetic.CONFIDENT", 0.0)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder of this session that all of its processes share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "report_runs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def trained(shared_folder):
    """`trained(name)`: a run of `RUNS`; always the same object, so that its functions are compiled once per module."""
    loaded = {}

    def run(name):
        if name not in loaded:
            family, model, folder = FAMILIES[name], MODELS.get(name), shared_folder / name
            with filelock.FileLock(shared_folder / f"{name}.lock"):
                if not (folder / "summary.json").is_file():
                    train(folder, family, RUNS[name], model=model, notify=lambda line: None)
            loaded[name] = load_run(folder, family=family, model=model)
        return loaded[name]

    return run


@pytest.fixture(scope="session")
def report(shared_folder, trained):
    """`report(name)`: the report of a run of `RUNS` in its folder, written when it is first used."""

    def written(name):
        run = trained(name)
        with filelock.FileLock(shared_folder / f"{name}.lock"):
            path = run.folder / "report" / "index.html"
            if not path.is_file():
                return write_report(run)
        content = json.loads(path.with_name("report.json").read_text())
        return Report(path, content["metrics"], content["left_out"])

    return written
