"""Families whose authors' programs have published weights: how the options of their networks are found from these.

A family is one entry of `PUBLISHED`: the options that the shapes determine, and the names and layouts of the weights.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from jaxgen.errors import InputError
from jaxgen.nn import progressive_names, stylegan_names
from jaxgen.nn.biggan_names import BIGGAN
from jaxgen.nn.biggan_networks import GENERATOR_WIDTHS
from jaxgen.nn.published_weights import Naming
from jaxgen.nn.stylegan2_names import STYLEGAN2

Weights: TypeAlias = Mapping[str, Any]
"""Name -> array, or its header, of which the shape is known, as the authors' program stores a network."""


class Found(NamedTuple):
    """What the shapes of weights say.

    Attributes:
        options: option of the family's config -> its value.
        size: height and width of the images.
        channels: channels of the images.
        classes: number of classes; 0 for networks that are not conditioned on labels.
    """

    options: dict[str, Any]
    size: int
    channels: int
    classes: int


class PublishedFamily(NamedTuple):
    """A family whose authors' program has published weights.

    Attributes:
        find: function from the weights of a generator, and of a discriminator or None, to what they say. It looks up no
            more than it needs: that all arrays fit is checked later.
        namings: function from the config to the names and layouts of "generator" and "discriminator".
        is_of_generator: function from a name to whether only a generator has it.
        not_stored: collections of statistics, zero at first, that the program does not store with the networks.
    """

    find: Callable[[Weights, Weights | None], Found]
    namings: Callable[[Any], Mapping[str, Naming]]
    is_of_generator: Callable[[str], bool]
    not_stored: tuple[str, ...] = ()


def find_stylegan2(generator: Weights, discriminator: Weights | None) -> Found:
    """Return the options of StyleGAN2 whose networks have given weights.

    Args:
        generator: weights of a generator.
        discriminator: weights of a discriminator; None where there is none.

    Returns:
        The options. Of several bases that give the same numbers of channels it is the smallest.

    Raises:
        InputError: if they are those of another program; the message names what is missing.

    Example:
        >>> find_stylegan2({}, None)
        Traceback (most recent call last):
        jaxgen.errors.InputError: the weights must have synthesis.b4.conv1.bias of 1 axis, which is missing: are they
        those of another model?
    """
    sizes = sorted(int(found[1]) for name in generator if (found := re.match(r"synthesis\.b(\d{1,6})\.", name)))
    size = sizes[-1] if sizes else 4
    features = {n: _axis(generator, f"synthesis.b{n}.conv1.bias", 0, of=1) for n in sorted({4, *sizes})}
    # The noise has the size of the images, so that images of the data are no larger than the file.
    if (noise := _axis(generator, f"synthesis.b{size}.conv1.noise_const", 0, of=2)) != size:
        raise InputError(f"synthesis.b{size}.conv1.noise_const must have the shape ({size}, {size}), got {noise} rows")
    numbers = [int(found[1]) for name in generator if (found := re.match(r"mapping\.fc(\d{1,3})\.weight$", name))]
    layers = max(numbers, default=0) + 1
    style = _axis(generator, f"mapping.fc{layers - 1}.weight", 0, of=2)
    width = _axis(generator, "mapping.fc0.weight", 0, of=2)
    classes, embedded = 0, 0
    if "mapping.embed.weight" in generator:
        embedded, classes = (_axis(generator, "mapping.embed.weight", axis, of=2) for axis in (0, 1))
    options: dict[str, Any] = {
        "size": size,
        "base": max(n * count for n, count in features.items()),
        "largest": max(features.values()),
        "latent_dim": _axis(generator, "mapping.fc0.weight", 1, of=2) - embedded,
        "style_dim": style,
        "mapping_layers": layers,
        "mapping_width": None if width == style else width,
        "architecture": _architecture(generator, "synthesis.b4.torgb.weight", f"synthesis.b{size}.skip.weight"),
        "conditional": classes > 0,
    }
    if discriminator is not None:
        options["discriminator_architecture"] = _architecture(
            discriminator, "b4.fromrgb.weight", f"b{size}.skip.weight"
        )
    channels = _axis(generator, f"synthesis.b{size}.torgb.bias", 0, of=1)
    return Found(options, size, channels, classes)


def find_progressive(generator: Weights, discriminator: Weights | None) -> Found:
    """Return the options of PGGAN whose networks have given weights; the classes are known from the discriminator."""
    options = _growing(generator, discriminator, prefix="")
    outputs = 1 if discriminator is None else _axis(discriminator, "4x4/Dense1/weight", 1, of=2)
    classes = outputs - 1
    options["latent_dim"] = _axis(generator, "4x4/Dense/weight", 0, of=2) - classes
    options["conditional"] = classes > 0
    options["fused"] = any("/Conv0_up/" in name for name in generator)
    return Found(options, options["size"], _axis(generator, "ToRGB_lod0/bias", 0, of=1), classes)


def find_stylegan(generator: Weights, discriminator: Weights | None) -> Found:
    """Return the options of StyleGAN whose networks have given weights."""
    options = _growing(generator, discriminator, prefix="G_synthesis/")
    layers = sum(re.fullmatch(r"G_mapping/Dense\d{1,3}/weight", name) is not None for name in generator)
    label = "G_mapping/LabelConcat/weight"
    classes = _axis(generator, label, 0, of=2) if label in generator else 0
    latent = _axis(generator, label, 1, of=2) if classes else _axis(generator, "G_mapping/Dense0/weight", 0, of=2)
    options["latent_dim"], options["conditional"], options["mapping_layers"] = latent, classes > 0, layers
    style, width = (_axis(generator, f"G_mapping/Dense{i}/weight", 1, of=2) for i in (max(layers, 1) - 1, 0))
    options["style_dim"], options["mapping_width"] = style, None if width == style else width
    return Found(options, options["size"], _axis(generator, "G_synthesis/ToRGB_lod0/bias", 0, of=1), classes)


def _growing(generator: Weights, discriminator: Weights | None, *, prefix: str) -> dict[str, Any]:
    """The options of the maps of networks that grow: size, base and largest number of channels."""
    sizes = {int(found[1]) for name in generator if (found := re.match(rf"{prefix}(\d{{1,6}})x\1/Conv1/bias", name))}
    features = {4: _axis(generator, f"{prefix}4x4/Conv/bias", 0, of=1)}
    features |= {n: _axis(generator, f"{prefix}{n}x{n}/Conv1/bias", 0, of=1) for n in sorted(sizes)}
    # The layer before the last one of the discriminator has as many features as a map of 2 pixels would have.
    dense = 0 if discriminator is None else _axis(discriminator, "4x4/Dense0/bias", 0, of=1)
    base = max(dense, *(n * count // 2 for n, count in features.items()))
    return {"size": max(features), "base": base, "largest": max(dense, *features.values())}


def find_biggan(generator: Weights, discriminator: Weights | None) -> Found:
    """Return the options of BigGAN or BigGAN-deep whose networks have given weights."""
    del discriminator
    deep = "blocks.0.0.conv4.weight" in generator
    last = f"conv{4 if deep else 2}.weight"
    numbers = [int(found[1]) for name in generator if (found := re.match(r"blocks\.(\d{1,3})\.0\.conv1\.weight", name))]
    features = [_axis(generator, f"blocks.{i}.0.{last}", 0, of=4) for i in range(max(numbers, default=0) + 1)]
    inputs, first = _axis(generator, "linear.weight", 1, of=2), _axis(generator, "linear.weight", 0, of=2)
    size, depth, width = _stages(features, first, deep=deep)
    gain, channels = "blocks.0.0.bn1.gain.weight", _axis(generator, "output_layer.2.weight", 0, of=4)
    shared = _axis(generator, "shared.weight", 1, of=2) if "shared.weight" in generator else 0
    classes = _axis(generator, "shared.weight" if shared else gain, 0, of=2)
    part = _axis(generator, gain, 1, of=2) - shared if shared else 0
    stages = len(features) // depth
    after = [i // depth for i in range(len(features)) if f"blocks.{i}.1.gamma" in generator]
    options: dict[str, Any] = {
        "size": size,
        "width": width,
        "deep": deep,
        "latent_dim": part if deep else inputs * (stages + 1) if part else inputs,
        "hierarchical": deep or part > 0,
        "shared_dim": shared,
        "attention": tuple((size >> stages) * 2 ** (stage + 1) for stage in after),
        "conditional": classes > 1,
    } | ({"depth": depth} if deep else {})
    return Found(options, size, channels, classes if classes > 1 else 0)


def _stages(features: list[int], first: int, *, deep: bool) -> tuple[int, int, int]:
    """The size of the images of BigGAN, the blocks of a stage and the width, by the channels after each block."""
    for size, (start, *widths) in GENERATOR_WIDTHS.items():
        depth, rest = divmod(len(features), len(widths))
        width = features[-1] // widths[-1]
        fits = rest == 0 and (deep or depth == 1) and features[depth - 1 :: depth] == [width * each for each in widths]
        if fits and first == start * width * (size >> len(widths)) ** 2:
            return size, depth, width
    raise InputError(f"the weights must be those of BigGAN for one of its sizes, got blocks of {features} channels")


def _architecture(weights: Weights, of_skip: str, of_resnet: str) -> str:
    """How blocks are connected, by the arrays that only one architecture has."""
    return "skip" if of_skip in weights else "resnet" if of_resnet in weights else "orig"


def _axis(weights: Weights, name: str, axis: int, *, of: int) -> int:
    """The length of an axis of an array with so many axes."""
    array = weights.get(name)
    if array is None or len(array.shape) != of:
        found = "which is missing" if array is None else f"got {len(array.shape)}"
        axes = f"{of} ax{'is' if of == 1 else 'es'}"
        raise InputError(f"the weights must have {name} of {axes}, {found}: are they those of another model?")
    return int(array.shape[axis])


def _without_lod(naming: Naming) -> Naming:
    """The names of a network that grows, whose program stores its level of detail with the weights."""
    return naming._replace(ignored=lambda name: name.rpartition("/")[2] == "lod")


def _namings_of_progressive(config: Any) -> Mapping[str, Naming]:
    naming = _without_lod(progressive_names.naming(config.size, fused=config.fused))
    return {"generator": naming, "discriminator": naming}


def _namings_of_stylegan(config: Any) -> Mapping[str, Naming]:
    return {
        "generator": _without_lod(stylegan_names.generator_naming(config.size)),
        "discriminator": _without_lod(stylegan_names.discriminator_naming(config.size)),
    }


PUBLISHED: dict[str, PublishedFamily] = {
    "biggan": PublishedFamily(
        find=find_biggan,
        namings=lambda config: dict.fromkeys(["generator", "discriminator"], BIGGAN),
        is_of_generator=lambda name: name.startswith("output_layer."),
    ),
    "progressive": PublishedFamily(
        find=find_progressive,
        namings=_namings_of_progressive,
        is_of_generator=lambda name: name.startswith("ToRGB_lod"),
    ),
    "stylegan": PublishedFamily(
        find=find_stylegan,
        namings=_namings_of_stylegan,
        is_of_generator=lambda name: name.startswith("G_"),
    ),
    "stylegan2": PublishedFamily(
        find=find_stylegan2,
        namings=lambda config: dict.fromkeys(["generator", "discriminator"], STYLEGAN2),
        is_of_generator=lambda name: name.startswith("synthesis."),
        not_stored=("path_length", "augmentation"),
    ),
}
"""Name of a family -> its entry; those of families that this version has count."""
