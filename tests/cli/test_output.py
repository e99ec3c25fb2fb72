"""Output files of commands: valid names, folders that exist, full disks, and damaged checkpoints."""

import json
import os
import shutil

import pytest
from rich.table import Table

from jaxgen.cli.output import notice_of_few, print_table
from jaxgen.cli.table import print_metrics

CONTROL = "\x1b]0;title\x07\x1b[2J\r\u202e\x9b31m"
"""Sets the title of the window, clears the screen, returns to the start of the line, and reverses the direction."""


def test_invalid_output_is_refused_before_any_work(refused, vae, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("sample", "reconstruct", "encode"):
        assert ".png, .pdf, .svg or .npz" in refused(command, vae, "--out", "x.jpgg")
        assert "no folder 'no'" in refused(command, vae, "--out", "no/x.png")
        assert "--n must be at least 1, got 0" in refused(command, vae, "--n", "0")
    for command in ("sample", "evaluate"):
        assert "--seed must be between" in refused(command, vae, "--seed", 10**20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "sample RUN --out DIR/x.png",
        "sample RUN --out DIR/folder",
        "sample RUN --interpolate --out DIR/x.gif",
        "reconstruct RUN --out DIR/x.npz",
        "encode RUN --out DIR/x.npz",
        "report RUN --out DIR/report",
        "compare RUN RUN --out DIR/x.png",
        "benchmark --json DIR/x.json",
        "benchmark --chart DIR/x.png",
        "train vae --steps 1 --out DIR/run",
        "train vae --steps 1 --sweep beta=1,2 --out DIR/deep/sweep",
        "reproduce critic-loss --out DIR/recipe",
        "data prepare mnist --data-dir DIR/sets",
    ],
)
def test_folders_that_cannot_be_written_are_refused_before_any_work(command, refused, vae, tmp_path, monkeypatch):
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: str(path) != str(tmp_path) and access(path, mode))
    for work in ("jaxgen.cli.output.load_run", "jaxgen.cli.benchmark.describe", "jaxgen.runs.training.prepare_run"):
        monkeypatch.setattr(work, lambda *arguments, **options: pytest.fail("work before the check"))
    words = command.replace("DIR", str(tmp_path)).replace("RUN", str(vae)).split()
    assert f"cannot write to the folder '{tmp_path}" in (sentence := refused(*words))
    assert sentence.endswith("is not writable")
    assert list(tmp_path.iterdir()) == []


def test_a_file_does_not_take_the_place_of_a_folder(refused, vae, tmp_path):
    (tmp_path / "x.json").mkdir()
    assert (
        refused("benchmark", "--json", tmp_path / "x.json") == f"cannot write '{tmp_path / 'x.json'}': it is a folder"
    )


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


def assert_harmless(*texts):
    """Only line breaks and characters that are printed."""
    for text in texts:
        assert all(line.isprintable() for line in text.splitlines()), text


def test_control_sequences_of_paths_files_and_metrics_are_escaped(vae, tmp_path, jaxgen, monkeypatch):
    out = tmp_path / f"{CONTROL}.npz"
    result = jaxgen("sample", vae, "--out", out)
    assert out.is_file()
    assert_harmless(result.out, result.err)
    assert "\\x1b]0;title\\x07" in result.out
    run = shutil.copytree(vae, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    for change in ({"family": CONTROL}, {"config": config["config"] | {"data": CONTROL}}, {"example": {CONTROL: 1}}):
        (run / "config.json").write_text(json.dumps(config | change))
        for command in ("sample", "evaluate", "report"):
            result = jaxgen(command, run, *([] if command != "sample" else ["--out", tmp_path / "x.png"]))
            assert_harmless(result.out, result.err)
    monkeypatch.setattr("jaxgen.cli.evaluate.evaluate_run", lambda run, seed, data: {f"[red]a{CONTROL}": 1.5})
    result = jaxgen("evaluate", vae)
    assert_harmless(result.out, result.err)
    assert "[red]a" in result.out  # No markup either.


def test_cells_of_tables_are_escaped_and_no_markup(capsys):
    table = Table("[red]a", f"b{CONTROL}")
    table.add_row(f"c{CONTROL}", "[bold]d")
    print_table(table)
    written = capsys.readouterr().out
    assert_harmless(written)
    assert "[red]a" in written
    assert "[bold]d" in written
    assert written.count("\\x1b]0;title\\x07") == 2


def test_file_names_that_are_no_text_are_printed(capsys):
    print_metrics({"a\udcff": 1.0}, title="b\udcff")
    written = capsys.readouterr().out
    assert written.encode()
    assert "a\\udcff" in written


def test_one_example_is_in_the_singular(capsys):
    notice_of_few(5, 1, 1)
    assert "the test split has 1 example, fewer than --n 5: it is used" in " ".join(capsys.readouterr().err.split())


def test_the_samples_that_metrics_of_modes_count_are_said(capsys):
    print_metrics({"modes": 3.0, "mode_kl_all": 0.5}, title="gan")
    written = " ".join(capsys.readouterr().out.split())
    assert "modes: those with at least one sample of high quality; of stacked digits, with any sample" in written
    assert "mode_kl_all: KL divergence of the modes' shares from the true ones, of all samples" in written
    print_metrics({"elbo": 3.0}, title="vae")
    assert "modes" not in capsys.readouterr().out
