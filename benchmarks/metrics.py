"""Measure time and memory of metrics of features beside torch-fidelity, pytorch-fid and prdc.

    python benchmarks/metrics.py [--quick] [--only NAME] [--sizes N ...] [--json FILE]

Fréchet distance, kernel distance, precision and recall, density and coverage of two sets of features of 2,048 numbers.
Every side runs in a process of its own with all cores (`taskset` assigns fewer) that makes its own features. Results
must agree. Then the sides, and a matrix product, are timed alternately, so that other load on the machine affects them
equally; times are medians of three repeats, of two where one call of all sides takes a minute. At 50,000 examples one
call is timed, in jaxgen with the compilation.

Memory is the peak of the process during its first call, features and imports included (Linux only). The growth is the
exponent p of n^p, fitted over the sizes but the largest. The share of the GEMM rate counts one product for each pair of
examples, also where a side computes both orders of a pair.

The trace of the Fréchet distance is a sum of eigenvalues at torch-fidelity, and of the diagonal of a matrix's square
root at pytorch-fid, as in the program of Heusel et al.

prdc is in the extra `benchmark`. torch-fidelity and pytorch-fid would install torchvision, of which there is no build
without CUDA on PyPI: `pip install --no-deps torch-fidelity==0.4.0 pytorch-fid==0.3.0 tqdm`. Their functions of features
need no torchvision.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from output_file import output_file

FEATURES, QUICK_FEATURES = 2048, 512
SIZES, LARGE = (2500, 5000, 10_000), 50_000
LONG = 60.0
"""Seconds of one call of each side above which fewer repeats are made."""
SUBSETS, SUBSET_SIZE = 100, 1000
GIB = 2**30
LIMIT = 2 * GIB
"""Largest peak memory of a process of jaxgen."""

JAXGEN, TORCH_FIDELITY, PYTORCH_FID, PRDC, GEMM = "jaxgen", "torch-fidelity", "pytorch-fid", "prdc", "GEMM"
INSTALL = {
    PYTORCH_FID: "pip install --no-deps pytorch-fid==0.3.0",
    TORCH_FIDELITY: "pip install --no-deps torch-fidelity==0.4.0 tqdm",
    PRDC: "pip install 'jaxgen[benchmark]'",
}

Call = Callable[[], list[float]]


class Metric(NamedTuple):
    """A metric and its sides.

    Attributes:
        title: name that is printed.
        sides: names of the sides, jaxgen first.
        tolerance: largest difference of a peer's results, relative to the largest of jaxgen's.
        pairs: function from the number of examples to the number of pairs whose products are needed; None if the metric
            does not consist of pairs.
        large: sides that are timed at the largest size.
    """

    title: str
    sides: tuple[str, ...]
    tolerance: float
    pairs: Callable[[int], float] | None
    large: tuple[str, ...]


def of_subsets(n: int) -> float:
    return SUBSETS * 2 * SUBSET_SIZE**2


def of_sets(n: int) -> float:
    return 2 * n**2


METRICS = {
    "fid": Metric(
        "Fréchet distance", (JAXGEN, TORCH_FIDELITY, PYTORCH_FID), 1e-5, None, (JAXGEN, TORCH_FIDELITY, PYTORCH_FID)
    ),
    "kid": Metric("kernel distance", (JAXGEN, TORCH_FIDELITY), 1e-3, of_subsets, (JAXGEN, TORCH_FIDELITY)),
    # torch-fidelity compares in single precision.
    "precision_recall": Metric(
        "precision and recall", (JAXGEN, TORCH_FIDELITY), 1e-2, of_sets, (JAXGEN, TORCH_FIDELITY)
    ),
    "density_coverage": Metric("density and coverage", (JAXGEN, PRDC), 1e-9, of_sets, (JAXGEN,)),
}


def main() -> None:
    arguments = parse()
    if arguments.side:
        serve(arguments.metric, arguments.side, arguments.examples, arguments.features)
        return
    from jaxgen.benchmark.machine import describe, machine_text

    machine = describe()
    print(machine_text(machine))
    missing = {name for name in INSTALL if not importlib.util.find_spec(name.replace("-", "_"))}
    for name in sorted(missing):
        print(f"{name} is not installed and is left out; {INSTALL[name]} installs it")
    rows = []
    for name, metric in METRICS.items():
        if arguments.only in (None, name):
            sizes = [size // 4 for size in SIZES] if arguments.quick else [*SIZES, LARGE]
            rows.append(
                measure(name, arguments.sizes or sizes, QUICK_FEATURES if arguments.quick else FEATURES, missing)
            )
            print("\n" + table(metric.title, rows[-1]))
    if arguments.json:
        arguments.json.write_text(json.dumps(machine | {"quick": arguments.quick, "metrics": rows}, indent=2) + "\n")
    for row in rows:
        if (peak := max(row["sides"][JAXGEN]["peak"])) > LIMIT:
            raise SystemExit(
                f"peak memory must be at most {LIMIT / GIB:.0f} GiB, got {peak / GIB:.2f} in {row['name']}"
            )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a quarter of the sizes and features")
    parser.add_argument("--only", choices=METRICS, help="measure one metric only")
    parser.add_argument("--sizes", nargs="+", type=int, metavar="N", help="numbers of examples, ascending")
    parser.add_argument("--json", type=output_file(".json"), metavar="FILE", help="also write the numbers to this file")
    for name, kind in (("metric", str), ("side", str), ("examples", int), ("features", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(name: str, sizes: list[int], features: int, missing: set[str]) -> dict[str, Any]:
    """Measure one metric at all sizes, each side where it is timed."""
    metric = METRICS[name]
    present = [side for side in metric.sides if side not in missing]
    sides: dict[str, dict[str, list[float]]] = {side: {"seconds": [], "peak": []} for side in present}
    rates = []
    for size in sizes:
        at_size = [side for side in present if size < LARGE or side in metric.large]
        processes = {side: Process(name, side, size, features) for side in [*at_size, GEMM]}
        try:
            first = {side: process.call() for side, process in processes.items()}
            for side in at_size:
                compare(metric, side, first[JAXGEN]["value"], first[side]["value"])
            times = {side: [first[side]["seconds"]] for side in processes}
            if size < LARGE:
                times = {side: [] for side in processes}
                for _ in range(2 if sum(call["seconds"] for call in first.values()) > LONG else 3):
                    for side, process in processes.items():
                        times[side].append(process.call()["seconds"])
        finally:
            for process in processes.values():
                process.stop()
        for side in at_size:
            sides[side]["seconds"].append(statistics.median(times[side]))
            sides[side]["peak"].append(first[side]["peak"])
        rates.append(GEMM_FLOP / statistics.median(times[GEMM]))
    return {"name": name, "sizes": sizes, "features": features, "sides": sides, "gemm_flops": rates}


def compare(metric: Metric, side: str, ours: list[float], theirs: list[float]) -> None:
    difference = float(np.max(np.abs(np.subtract(ours, theirs)))) / float(np.max(np.abs(ours)))
    if not difference <= metric.tolerance:
        raise SystemExit(
            f"results of {metric.title} must agree within {metric.tolerance:.0e}, got {ours} and {theirs} by {side}"
        )


def table(title: str, row: dict[str, Any]) -> str:
    """Return times, ratios, memory, growth, and the share of the GEMM rate of one metric."""
    from jaxgen.benchmark.growth import exponent

    sizes, sides, metric = row["sizes"], row["sides"], METRICS[row["name"]]
    head = f"{title}, n x {row['features']:,} features"
    lines = [f"{head:44}" + "".join(f"{n:>9,}" for n in sizes) + f"{'growth':>8}"]
    fitted = [n for n in sizes if n < LARGE]

    def line(label: str, values: list[float], *, digits: int, growth: float | None = None) -> str:
        cells = "".join(f"{value:9.{digits}f}" for value in values) + " " * 9 * (len(sizes) - len(values))
        return f"  {label:42}{cells}" + ("" if growth is None else f"{growth:8.2f}")

    for side, measured in sides.items():
        seconds = measured["seconds"]
        growth = exponent(fitted, [1e3 * value for value in seconds[: len(fitted)]]) if len(fitted) > 1 else None
        lines.append(line(f"{side}, s", seconds, digits=2, growth=growth))
    ours = sides[JAXGEN]["seconds"]
    for side in [side for side in sides if side != JAXGEN]:
        ratios = [theirs / own for theirs, own in zip(sides[side]["seconds"], ours, strict=False)]
        lines.append(line(f"{side} / {JAXGEN}", ratios, digits=2))
    if metric.pairs:
        for side, measured in sides.items():
            flop = [2 * row["features"] * metric.pairs(n) for n in sizes]
            shares = [
                100 * count / value / rate
                for count, value, rate in zip(flop, measured["seconds"], row["gemm_flops"], strict=False)
            ]
            lines.append(line(f"{side}, % of the GEMM rate", shares, digits=0))
    for side, measured in sides.items():
        lines.append(line(f"{side}, GiB at most", [peak / GIB for peak in measured["peak"]], digits=2))
    return "\n".join(lines)


class Process:
    """One side of one metric at one size, in a process of its own."""

    def __init__(self, metric: str, side: str, examples: int, features: int) -> None:
        command = [sys.executable, __file__, "--metric", metric, "--side", side]
        command += ["--examples", str(examples), "--features", str(features)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self) -> dict[str, Any]:
        """Compute once, and return seconds, value and peak memory."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("call\n")
        self._process.stdin.flush()
        if not (answer := self._process.stdout.readline()):
            raise SystemExit("a process of the benchmark has ended; its error is above")
        return json.loads(answer)

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve(metric: str, side: str, examples: int, features: int) -> None:
    """Compute in a process of its own once for each line of the input."""
    answers, sys.stdout = sys.stdout, sys.stderr  # prdc prints.
    call = gemm() if side == GEMM else SIDES[metric, side](*sets_of_features(examples, features))
    for _ in sys.stdin:
        started = time.perf_counter()
        value = call()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "value": value, "peak": peak()}), file=answers, flush=True)


def peak() -> float:
    """Return the peak memory of this process in bytes; NaN where the system does not count it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), float("nan"))


def sets_of_features(examples: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Make features of real and of generated examples, correlated as those of networks are."""
    generator = np.random.default_rng(0)
    scales = (1 / np.sqrt(1 + np.arange(features))).astype(np.float32)
    real, fake = (generator.standard_normal((examples, features), dtype=np.float32) for _ in range(2))
    real *= scales
    fake *= 1.05 * scales
    fake += 0.1 * scales
    return real, fake


GEMM_SIZE, GEMM_CALLS = 2048, 8
GEMM_FLOP = GEMM_CALLS * 2 * GEMM_SIZE**3


def gemm() -> Call:
    from jaxgen.benchmark.sides import Products

    products = Products(size=GEMM_SIZE, steps=GEMM_CALLS)
    products.run()

    def call() -> list[float]:
        products.run()
        return []

    return call


def subset_indices(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the subsets of torch-fidelity: fake and real alternately, from a generator with the seed 2020."""
    generator = np.random.RandomState(2020)
    drawn = [[generator.choice(n, min(n, SUBSET_SIZE), replace=False) for _ in range(2)] for _ in range(SUBSETS)]
    fake, real = (np.array([pair[i] for pair in drawn]) for i in range(2))
    return real, fake


def jaxgen_fid(real: np.ndarray, fake: np.ndarray) -> Call:
    from jaxgen.metrics import frechet_distance_of_features

    return lambda: [float(frechet_distance_of_features(real, fake))]


def jaxgen_kid(real: np.ndarray, fake: np.ndarray) -> Call:
    from jaxgen.metrics import kernel_distance

    indices = subset_indices(len(real))
    return lambda: list(kernel_distance(None, real, fake, indices=indices))


def jaxgen_precision_recall(real: np.ndarray, fake: np.ndarray) -> Call:
    from jaxgen.metrics import precision_recall

    return lambda: list(precision_recall(real, fake))


def jaxgen_density_coverage(real: np.ndarray, fake: np.ndarray) -> Call:
    from jaxgen.metrics import density_coverage

    return lambda: list(density_coverage(real, fake))


def import_peer(module: str) -> Any:
    """Import a module of a peer; where there is no torchvision, which its features of images need, without it."""
    importlib.import_module("torch")  # It inspects all modules, and those below are no files.
    if not importlib.util.find_spec("torchvision"):
        for name in ("", ".datasets", ".models", ".models.inception", ".transforms", ".transforms.functional"):
            stub = types.ModuleType("torchvision" + name)
            stub.__path__ = []
            # Any name is a class, which classes of the peers inherit.
            stub.__getattr__ = lambda name: type(name, (), {})  # type: ignore[method-assign]
            sys.modules[stub.__name__] = stub
            parent, _, child = stub.__name__.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, stub)
    return importlib.import_module(module)


def torch_fidelity_fid(real: np.ndarray, fake: np.ndarray) -> Call:
    import torch

    fid = import_peer("torch_fidelity.metric_fid")
    sets = [torch.from_numpy(x) for x in (fake, real)]

    def call() -> list[float]:
        statistics = [fid.fid_features_to_statistics(x) for x in sets]
        return list(fid.fid_statistics_to_metric(*statistics, verbose=False).values())

    return call


def pytorch_fid(real: np.ndarray, fake: np.ndarray) -> Call:
    distance = import_peer("pytorch_fid.fid_score").calculate_frechet_distance

    def call() -> list[float]:
        # As `calculate_activation_statistics`, which starts from files.
        moments = [(x.mean(axis=0), np.cov(x, rowvar=False)) for x in (fake, real)]
        return [float(distance(*moments[0], *moments[1]))]

    return call


def torch_fidelity_kid(real: np.ndarray, fake: np.ndarray) -> Call:
    import torch

    kid = import_peer("torch_fidelity.metric_kid")
    sets = [torch.from_numpy(x) for x in (fake, real)]
    options = {"kid_subsets": SUBSETS, "kid_subset_size": min(len(real), SUBSET_SIZE), "verbose": False}
    return lambda: list(kid.kid_features_to_metric(*sets, **options).values())


def torch_fidelity_precision_recall(real: np.ndarray, fake: np.ndarray) -> Call:
    import torch

    prc = import_peer("torch_fidelity.metric_prc")
    sets = [torch.from_numpy(x) for x in (fake, real)]
    # At the largest size, with less memory: all distances would need 30 GiB.
    options = {"save_cpu_ram": len(real) >= LARGE, "verbose": False}
    return lambda: list(prc.prc_features_to_metric(*sets, **options).values())[:2]


def prdc_density_coverage(real: np.ndarray, fake: np.ndarray) -> Call:
    from prdc import compute_prdc

    return lambda: [float(value) for value in compute_prdc(real, fake, nearest_k=5).values()]


SIDES: dict[tuple[str, str], Callable[[np.ndarray, np.ndarray], Call]] = {
    ("fid", JAXGEN): jaxgen_fid,
    ("kid", JAXGEN): jaxgen_kid,
    ("precision_recall", JAXGEN): jaxgen_precision_recall,
    ("density_coverage", JAXGEN): jaxgen_density_coverage,
    ("fid", TORCH_FIDELITY): torch_fidelity_fid,
    ("fid", PYTORCH_FID): pytorch_fid,
    ("kid", TORCH_FIDELITY): torch_fidelity_kid,
    ("precision_recall", TORCH_FIDELITY): torch_fidelity_precision_recall,
    ("density_coverage", PRDC): prdc_density_coverage,
}


if __name__ == "__main__":
    main()
