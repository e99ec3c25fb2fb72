"""The state dicts of ajbrock/BigGAN-PyTorch as variables of jaxgen's networks, also of BigGAN-deep, and back.

A state dict maps names such as "blocks.0.0.conv1.weight" to arrays, with channels first. `NAMES` and `LEAVES` are the
names that differ; all others, of blocks, convolutions and normalizations, are the same in both.

    authors' name                      path in the variables of Flax
    shared.weight                      params       shared/embedding
    blocks.1.0.conv_sc.weight          params       blocks_1_0/shortcut/kernel
    blocks.1.0.conv_sc.u0              spectral     blocks_1_0/shortcut/u
    blocks.1.0.bn2.stored_var          batch_stats  blocks_1_0/bn2/var
    blocks.1.1.theta.weight            params       blocks_1_1/query/kernel
    output_layer.2.bias                params       output/bias
"""

import re

from jaxgen.nn.published_weights import SAME, Layout, Naming, Path, permuted

NAMES = {
    "shortcut": "conv_sc",
    "query": "theta",
    "key": "phi",
    "value": "g",
    "out": "o",
    "output_norm": "output_layer.0",
    "output": "output_layer.2",
    "stem": "input_conv",
}
"""Name of a layer here -> name in the state dict. A block `blocks_1_0` is blocks.1.0 there."""

LEAVES = {
    ("params", "kernel"): "weight",
    ("params", "embedding"): "weight",
    ("params", "bias"): "bias",
    ("params", "gain"): "gain",
    ("params", "gamma"): "gamma",
    ("spectral", "u"): "u0",
    ("spectral", "sigma"): "sv0",
    ("batch_stats", "mean"): "stored_mean",
    ("batch_stats", "var"): "stored_var",
}
"""Collection and name of an array here -> last part of its name in the state dict."""


def _name(path: Path) -> str:
    """Return the name in the state dict of the array at a path of the variables."""
    collection, *layers, leaf = path
    blocks = [re.sub(r"^blocks_(\d+)_(\d+)$", r"blocks.\1.\2", NAMES.get(name, name)) for name in layers]
    return ".".join([*blocks, LEAVES[collection, leaf]])


def _layout(path: Path, shape: tuple[int, ...]) -> Layout:
    """Return the layout in the state dict: outputs first, then inputs, then the window; vectors as rows."""
    if path[-1] == "kernel":
        return permuted(*range(2, len(shape)), 1, 0)
    if path[-1] in ("u", "sigma"):
        return Layout(lambda x: x[0], lambda x: x[None])
    return SAME


BIGGAN = Naming(_name, _layout)
"""The state dicts of generators and discriminators, for `jaxgen.nn.published_weights`."""
