"""Names and layouts of the weights of the growing networks of PGGAN in the authors' TensorFlow code.

    8x8/Conv0/weight        params   b8/conv0_up/kernel       of a generator
    4x4/Dense/bias          params   b4/bias
    ToRGB_lod1/weight       params   torgb8/kernel            of networks for 16 pixels

In their separate form a map is enlarged, and correlated with a kernel; in the fused form, their default, one transposed
convolution does both, whose kernel has its output channels before its input channels.
"""

from jaxgen.nn.published_weights import SAME, Layout, Naming, Path, flattened_map

REVERSED = Layout(lambda x: x[::-1, ::-1], lambda x: x[::-1, ::-1])
"""Of a kernel that is a correlation there, and here a convolution, before the map is enlarged."""

SWAPPED = Layout(lambda x: x.swapaxes(-1, -2), lambda x: x.swapaxes(-1, -2))
"""Of the kernel of a transposed convolution."""


def naming(size: int, *, fused: bool = True) -> Naming:
    """Return the names of the networks for images of a size.

    Args:
        size: height and width of the largest images.
        fused: whether the weights are those of the fused form.

    Returns:
        Names and layouts of generator and discriminator.

    Example:
        >>> naming(16).name(("params", "b8", "conv0_up", "kernel")), naming(16).name(("params", "torgb8", "bias"))
        ('8x8/Conv0_up/weight', 'ToRGB_lod1/bias')
    """

    def name(path: Path) -> str:
        _, first, *modules, last = path
        scopes = [scope_of(first, size), *map(layer, modules)]
        if not modules and first.startswith("b"):
            scopes.append("Dense")  # The bias of the first layer.
        return "/".join([*scopes, "weight" if last == "kernel" else last])

    def layer(module: str) -> str:
        if module == "conv0_up":
            return "Conv0_up" if fused else "Conv0"
        return "Conv1_down" if fused and module == "conv1_down" else module.removesuffix("_down").capitalize()

    def layout(path: Path, shape: tuple[int, ...]) -> Layout:
        if path[-2:] == ("conv0_up", "kernel"):
            return SWAPPED if fused else REVERSED
        return layout_of_dense(path, shape)

    return Naming(name, layout)


def scope_of(module: str, size: int) -> str:
    """Return the outermost scope of a module in the authors' graph, for a network for images of a size.

    Args:
        module: name of the outermost module here.
        size: height and width of the largest images.

    Returns:
        The scope.

    Example:
        >>> [scope_of(module, 16) for module in ("b16", "fromrgb4", "dense0")]
        ['16x16', 'FromRGB_lod2', '4x4/Dense0']
    """
    for ours, theirs in (("torgb", "ToRGB"), ("fromrgb", "FromRGB")):
        if module.startswith(ours):
            return f"{theirs}_lod{(size // int(module.removeprefix(ours))).bit_length() - 1}"
    if module.startswith("b"):
        return f"{module[1:]}x{module[1:]}"
    return f"4x4/{module.capitalize()}"  # One of the last layers of the discriminator.


def layout_of_dense(path: Path, shape: tuple[int, ...]) -> Layout:
    """Return the layout of the kernels of dense layers from or to a map, which has its channels first there.

    Args:
        path: path of an array.
        shape: its shape here.

    Returns:
        The layout; of other arrays that in which they lie equally.

    Example:
        >>> layout_of_dense(("params", "conv", "kernel"), (3, 3, 5, 2)) is SAME
        True
    """
    if path[-2:] == ("dense", "kernel"):
        to_last, to_first = flattened_map(shape[1] // 16)
        return Layout(lambda x: to_last(x.T).T, lambda x: to_first(x.T).T)
    if path[-2:] == ("dense0", "kernel"):
        return Layout(*flattened_map(shape[0] // 16))
    return SAME
