"""Print what a training step of each preset of the published sizes costs, without running it.

    python benchmarks/step_cost.py [--only PRESET ...] [--json FILE]

Operations of products and convolutions, on average over the steps where regularizers are due at every k-th of them;
bytes that the program lowered for CUDA reads and writes before its operations are fused; and the memory that the
compiler of this machine plans. Batches have the published size. Networks that grow are counted in their last phase. A
preset takes minutes, most of them for its compilation, and has a process of its own.

`jaxgen train PRESET --data DATA --dry-run --cost` prints the same for every phase and for your data.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from output_file import output_file

from jaxgen.models import PRESETS
from jaxgen.models.preset import Preset
from jaxgen.runs import RunConfig
from jaxgen.runs.preparation import prepare_run
from jaxgen.runs.preview import preview
from jaxgen.runs.step_cost import step_costs

CLASSES = {"biggan-28": 10, "biggan-cifar10": 10}
"""Number of classes of the data of a conditional preset, if they are not those of ImageNet."""

IMAGENET_CLASSES = 1000

GREY = ("biggan-28", "progressive-32", "stylegan-32", "stylegan2-32")
"""Presets for images with one channel, such as those of MNIST."""

SIZES = {name: preset.config.size for name, preset in PRESETS.items() if getattr(preset.config, "size", None)}
"""Preset -> height and width of its images, of those that are for one size."""


def main() -> None:
    arguments = parse()
    if arguments.serve:
        print(json.dumps(cost(arguments.only[0])))
        return
    rows = []
    print(f"{'preset':18}{'parameters':>13}{'batch':>7}{'GFLOP':>10}{'CUDA, GB':>10}{'memory, GiB':>13}")
    for name in arguments.only or SIZES:
        command = [sys.executable, __file__, "--serve", "--only", name]
        rows.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(line(name, rows[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=SIZES, metavar="PRESET", help="count these presets only")
    parser.add_argument("--json", type=output_file(".json"), metavar="FILE", help="also write the numbers to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def cost(name: str) -> dict[str, Any]:
    """Count one preset in its last phase."""
    preset = PRESETS[name]
    batch_size = preset.batch_size or 1
    config = preset.config
    if "start" in {field.name for field in fields(config)}:
        config = replace(config, start=config.size)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "images.npz"
        write_images(data, name, preset, batch_size)
        run = RunConfig(config, data=str(data), batch_size=batch_size)
        prepared = prepare_run(Path(folder) / "run", preset.family, run)
        (found,) = step_costs(prepared)
        parameters = sum(preview(prepared).parameters.values())
    return {"preset": name, "parameters": parameters} | found._asdict()


def write_images(path: Path, name: str, preset: Preset, count: int) -> None:
    """Write black images of the size of a preset: enough for a step, of all classes, beside those for tests."""
    classes = CLASSES.get(name, IMAGENET_CLASSES)
    updates = getattr(preset.config, "discriminator_updates", 1)
    count = 2 * max(updates * count, classes if preset.family == "biggan" else 1)
    size, channels = SIZES[name], 1 if name in GREY else 3
    images = np.zeros((count, size, size, channels), np.uint8)
    np.savez_compressed(path, image=images, label=np.arange(count) % classes)


def line(name: str, row: dict[str, Any]) -> str:
    """Return the line of the table of one preset."""
    memory = float("nan") if row["memory"] is None else row["memory"] / 2**30
    _, of_cuda = row["lowered"]["cuda"]
    return (
        f"{name:18}{row['parameters']:13,}{row['batch_size']:7,}{row['mean_products'] / 1e9:10,.0f}"
        f"{of_cuda / 1e9:10,.0f}{memory:13,.1f}"
    )


if __name__ == "__main__":
    main()
