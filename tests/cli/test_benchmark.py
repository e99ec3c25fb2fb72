"""`jaxgen benchmark`: its report, with PyTorch and without, on a training step that is small enough to be quick."""

import json
import os
import subprocess
import sys
from importlib.metadata import version

import jax
import pytest
import torch

from jaxgen.benchmark.machine import PyTorch
from jaxgen.benchmark.pytorch import agreement
from jaxgen.benchmark.sides import Products
from jaxgen.benchmark.workloads import WORKLOADS
from jaxgen.benchmark.workloads.vae_workloads import mlp_vae
from jaxgen.cli.benchmark import Options

SMALL = {"width": 4, "batch_size": 8}
FLOP = 2 * 8 * (2 * 784 * 4 + 3 * (4 * 40 + 20 * 4 + 4 * 784))
"""Forward, by the weights, and by the inputs of all layers but the first, of 784-4-40 and 20-4-784 with 8 examples."""


@pytest.fixture(autouse=True)
def small_steps(monkeypatch):
    workload = mlp_vae(**SMALL)._replace(seeds=False, compile_is_faster=False, steps=8)
    monkeypatch.setattr("jaxgen.cli.benchmark.WORKLOADS", (workload, workload._replace(name="another")))
    products = Products(size=64, steps=1)
    monkeypatch.setattr("jaxgen.benchmark.train_step._matrix_products", lambda precision: products)
    # The settings of PyTorch hold for the process, which runs other tests as well.
    monkeypatch.setattr("jaxgen.benchmark.pytorch.torch_device.use_all_cores", lambda: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    cached = jax.config.jax_enable_compilation_cache
    yield
    jax.config.update("jax_enable_compilation_cache", cached)  # The command disables it.
    torch.set_num_threads(threads)


def test_report_has_the_machine_and_the_numbers_of_both_sides(jaxgen, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxgen.benchmark.train_step.LARGE", 0)  # Single steps too, whose memory is known.
    result = jaxgen("benchmark", "--quick", "--only", "MLP VAE", "--json", tmp_path / "a.json")
    assert result.status == 0
    report = json.loads((tmp_path / "a.json").read_text())
    assert {name: report[name] for name in ("jaxgen", "jax", "torch", "format", "quick", "precision")} == {
        "jaxgen": version("jaxgen"), "jax": version("jax"), "torch": version("torch"),
        "format": 1, "quick": True, "precision": "float32",
    }  # fmt: skip
    assert (report["device_kind"], report["cores"]) == ("cpu", len(os.sched_getaffinity(0)))
    (row,) = report["workloads"]
    assert (row["name"], row["flop"], report["flop_counted"]) == (
        "MLP VAE",
        FLOP,
        "products and convolutions of the traced step",
    )
    assert row["ratio"] == pytest.approx(row["sides"]["torch"]["ms"] / row["sides"]["jaxgen fit"]["ms"])
    assert row["jaxgen_examples_per_second"] == pytest.approx(8e3 / row["sides"]["jaxgen fit"]["ms"])
    assert row["gemm_share"] == pytest.approx(FLOP / row["jaxgen_ms"] / 1e6 / report["gemm_gflops"])
    assert row["loss_difference"] < 1e-4
    # Two moments, and the parameters before and after the update, and little else.
    parameters = 4 * (784 * 4 + 4 + 4 * 40 + 40 + 20 * 4 + 4 + 4 * 784 + 784)
    assert 2**20 * row["sides"]["jaxgen step"]["memory_mib"] == pytest.approx(4 * parameters, rel=0.5)
    assert "torch / jaxgen fit" in result.out
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_modes_of_pytorch_that_disagree_are_left_out_and_the_exit_status_is_1(jaxgen, tmp_path, monkeypatch):
    wrong = agreement.Agreement(0.5, None, 1e-4, 1.0)
    monkeypatch.setattr("jaxgen.benchmark.pytorch.agreement.compare", lambda run, twin: wrong)
    files = ["--json", tmp_path / "a.json", "--chart", tmp_path / "a.png"]
    result = jaxgen("benchmark", "--quick", "--only", "another", *files)
    assert result.status == 1
    assert "the losses of jaxgen and PyTorch must agree, and do not in another" in result.err
    (row,) = json.loads((tmp_path / "a.json").read_text())["workloads"]
    assert row["ratio"] is None
    assert "got Agreement(largest_difference=0.5" in row["left_out"]["torch"]
    assert "there is no chart" in result.err


def test_steps_without_mixed_precision_are_left_out_or_refused_by_name(jaxgen, monkeypatch):
    workload = mlp_vae(**SMALL)._replace(mixed_precision=False)
    monkeypatch.setattr("jaxgen.cli.benchmark.WORKLOADS", (workload,))
    result = jaxgen("benchmark", "--quick", "--bfloat16", "--only", "MLP VAE")
    assert result.status == 2
    assert "MLP VAE has no mixed precision" in result.err
    assert "leave out --bfloat16, or choose other workloads" in result.err


def test_jaxgen_is_timed_alone_where_pytorch_is_not_installed(tmp_path):
    program = f"""
import sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, NotInstalled())
from jaxgen.benchmark.sides import Products
from jaxgen.benchmark.workloads.vae_workloads import mlp_vae
from jaxgen.cli import benchmark, main
benchmark.WORKLOADS = (mlp_vae(**{SMALL})._replace(steps=4),)
from jaxgen.benchmark import train_step
train_step._matrix_products = lambda precision: Products(size=64, steps=1)
main.main(["benchmark", "--quick", "--json", {str(tmp_path / "a.json")!r}])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "PyTorch cannot be imported (No module named 'torch'): only jaxgen is timed\n" in result.stdout
    report = json.loads((tmp_path / "a.json").read_text())
    (row,) = report["workloads"]
    assert (report["torch"], report["geomean_ratio"], row["ratio"], list(row["sides"])) == (
        None,
        None,
        None,
        ["jaxgen fit"],
    )
    assert row["flop"] == FLOP
    assert row["gemm_share"] == pytest.approx(FLOP / row["jaxgen_ms"] / 1e6 / report["gemm_gflops"])


def test_help_names_every_workload():
    described = " ".join((Options.__doc__ or "").split())
    assert [workload.name for workload in WORKLOADS if workload.name not in described] == []


def test_a_chart_of_ratios_needs_pytorch(refused, tmp_path, monkeypatch):
    without = PyTorch(None, "PyTorch cannot be imported (No module named 'torch')")
    monkeypatch.setattr("jaxgen.cli.benchmark.find_pytorch", lambda: without)
    sentence = refused("benchmark", "--chart", tmp_path / "a.png")
    assert sentence.startswith("--chart shows ratios to PyTorch, and PyTorch cannot be imported")


def test_growth_is_the_exponent_of_the_times(jaxgen, tmp_path, monkeypatch):
    def milliseconds(workload, size, pytorch):
        (n,) = size.values()
        return {"jaxgen fit": 0.01 * n**1.5, "torch": 0.03 * n**1.5}

    monkeypatch.setattr("jaxgen.benchmark.growth._milliseconds", milliseconds)
    result = jaxgen("benchmark", "--growth", "--json", tmp_path / "a.json")
    assert result.status == 0
    batches, widths = json.loads((tmp_path / "a.json").read_text())["growth"]
    assert [row["growing"] for row in (batches, widths)] == ["batch_size", "width"]
    assert batches["growth"] == pytest.approx({"jaxgen fit": 1.5, "torch": 1.5})
    ratios = [line.split()[1:] for line in result.out.splitlines() if line.startswith("  ratio")]
    assert ratios == [["3.00"] * 4, ["3.00"] * 3]
