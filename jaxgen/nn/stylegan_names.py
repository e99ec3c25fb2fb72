"""Names and layouts of the weights of StyleGAN in the authors' TensorFlow code, for a size of images.

    8x8/Conv0_up/StyleMod/weight   params   synthesis/b8/conv0_up_styling/style/kernel
    Dense0/bias                    params   mapping/dense0/bias

The graph of the mapping network and that of the synthesis network have names of their own there: G_mapping/ and
G_synthesis/ stand before them here. From 128 pixels on, the kernels that enlarge a map are those of transposed
convolutions; unlike PGGAN's, they have their input channels before their output channels.
"""

from jaxgen.nn.progressive_names import REVERSED, naming, scope_of
from jaxgen.nn.published_weights import SAME, Layout, Naming, Path

FUSED_FROM = 128
"""Size of the maps from which on the authors' program fuses enlargement and convolution."""

LAYERS = {"const": "Const", "conv": "Conv", "conv0_up": "Conv0_up", "conv1": "Conv1"}
"""Name of a layer here -> its scope there, which is also that of what follows it."""

FOLLOWING = {
    "noise_strength": "Noise/weight",
    "bias": "bias",
    "style/kernel": "StyleMod/weight",
    "style/bias": "StyleMod/bias",
}
"""Name of an array of what follows a layer -> name within its scope."""


def generator_naming(size: int) -> Naming:
    """Return the names of the generator for images of a size.

    Args:
        size: height and width of the largest images.

    Returns:
        Names and layouts.

    Example:
        >>> generator_naming(16).name(("params", "synthesis", "b8", "conv1_styling", "style", "bias"))
        'G_synthesis/8x8/Conv1/StyleMod/bias'
    """

    def name(path: Path) -> str:
        collection, part, *modules, last = path
        if part == "mapping":
            of_mapping = {"w": "dlatent_avg", "embedding": "LabelConcat/weight"}
            return f"G_mapping/{of_mapping[last]}" if last in of_mapping else _dense(modules, last)
        if collection == "noise":
            return f"G_synthesis/noise{_layer_number(modules)}"
        return f"G_synthesis/{_in_synthesis(modules, last, size)}"

    return Naming(name, _layout)


def discriminator_naming(size: int) -> Naming:
    """Return the names of the discriminator for images of a size: those of PGGAN's, with Conv1_down in every block.

    Args:
        size: height and width of the largest images.

    Returns:
        Names and layouts.

    Example:
        >>> discriminator_naming(16).name(("params", "b8", "conv1_down", "bias"))
        '8x8/Conv1_down/bias'
    """
    return naming(size, fused=True)


def _dense(modules: list[str], last: str) -> str:
    return f"G_mapping/{modules[0].capitalize()}/{'weight' if last == 'kernel' else last}"


def _in_synthesis(modules: list[str], last: str, size: int) -> str:
    first, *rest = modules
    scope = scope_of(first, size)
    if not rest:
        return f"{scope}/Const/const" if last == "const" else f"{scope}/{'weight' if last == 'kernel' else last}"
    layer = LAYERS[rest[0].removesuffix("_styling")]
    if rest[0].endswith("_styling"):
        return f"{scope}/{layer}/{FOLLOWING['/'.join([*rest[1:], last])]}"
    return f"{scope}/{layer}/weight"


def _layer_number(modules: list[str]) -> int:
    """The number of a layer in its network, from the size of its map and its place in the block."""
    size, layer = int(modules[0][1:]), modules[1]
    return 2 * (size.bit_length() - 3) + (layer in ("conv_styling", "conv1_styling"))


def _layout(path: Path, shape: tuple[int, ...]) -> Layout:
    if path[0] == "noise":
        return Layout(lambda x: x[0, 0], lambda x: x[None, None])
    if path[-1] == "const":
        return Layout(lambda x: x[0].transpose(1, 2, 0), lambda x: x.transpose(2, 0, 1)[None])
    if path[-2:] == ("conv0_up", "kernel"):
        return SAME if int(path[-3][1:]) >= FUSED_FROM else REVERSED
    return SAME
