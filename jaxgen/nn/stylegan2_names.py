"""Names and layouts of the weights of StyleGAN2 in the authors' PyTorch code.

    synthesis.b8.conv0.weight          params          synthesis/b8/conv0/kernel
    synthesis.b8.conv0.noise_const     noise           synthesis/b8/conv0/image
    mapping.w_avg                      latent_average  mapping/w

Kernels have their output channels first there, and images their channels before height and width.
"""

from jaxgen.nn.published_weights import SAME, Layout, Naming, Path, flattened_map, permuted

LAST_PARTS = {("params", "kernel"): "weight", ("noise", "image"): "noise_const", ("latent_average", "w"): "w_avg"}
"""Collection and name of an array here -> last part of its name there, where these differ."""


def _name(path: Path) -> str:
    collection, *modules, last = path
    return ".".join([*modules, LAST_PARTS.get((collection, last), last)])


def _layout(path: Path, shape: tuple[int, ...]) -> Layout:
    if path[-3:] == ("b4", "fc", "kernel"):
        to_last, to_first = flattened_map(shape[0] // 16)
        return Layout(lambda x: to_last(x.T), lambda x: to_first(x).T)
    if path[-1] == "const":
        return permuted(1, 2, 0)
    if path[-1] == "kernel":
        return permuted(1, 0) if len(shape) == 2 else permuted(2, 3, 1, 0)
    return SAME


STYLEGAN2 = Naming(_name, _layout, ignored=lambda name: name.rpartition(".")[2] == "resample_filter")
"""The state dicts of generator and discriminator; the filter, a constant, is one of the networks here."""
