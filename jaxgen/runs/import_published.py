"""Weights of the programs of the authors of a model, as a run folder that samples."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import numpy as np

from jaxgen._signatures import checked
from jaxgen.array_files.weights_file import read_weights
from jaxgen.data import example_from
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model, State
from jaxgen.models import PRESETS, REGISTRY, build_model
from jaxgen.nn.published_weights import Naming, check_weights, variables_from
from jaxgen.paths import expand_path
from jaxgen.runs.config import NO_DATA, RunConfig, with_absolute_paths
from jaxgen.runs.config_json import RunDescription
from jaxgen.runs.import_style_decoder import FAMILY as STYLE_TRANSFER
from jaxgen.runs.import_style_decoder import import_style_decoder
from jaxgen.runs.imported_run import check_run_folder, write_imported, zeros_of
from jaxgen.runs.published_families import PUBLISHED, Found, PublishedFamily, Weights
from jaxgen.runs.sampled_arrays import random_network
from jaxgen.training.seeds import add_seed_axis, select_seed
from jaxgen.training.states import initial_state
from jaxgen.typing import Batch, PyTree

Networks: TypeAlias = Mapping[str, Weights]
"""Network of a file, "generator", "average" (the generator's moving average) or "discriminator" -> its weights."""

PREFIXES = {"G": "generator", "G_ema": "average", "Gs": "average", "D": "discriminator"}
"""First part of a name in a file of several networks -> network."""


@checked
def import_published(
    name: str,
    path: str | Path,
    folder: str | Path,
    *,
    data: str = NO_DATA,
    data_dir: str | None = None,
    notify: Notify = print_to_stderr,
) -> None:
    """Make a run folder of weights that the program of a model's authors has written.

    Samples come from the average of the generator where the file has one, or else from the generator. The run cannot be
    resumed; a new run can start from its weights (`init_from`).

    Args:
        name: family, whose options are then those that the shapes of the weights determine; or one of its presets,
            whose options the weights must have.
        path: `.safetensors`, `.npz`, `.pt` or `.pth` file: the state dict of a generator, or those of several networks
            with names that begin with "G_ema.", "G." and "D."; of the decoder of style_transfer.
        folder: run folder, which must not exist or be empty.
        data: name or path of the data that the weights were trained on.
        data_dir: folder of the data sets.
        notify: called with notices for the user, e.g. that there is no discriminator.

    Raises:
        InputError: if the file is no such file or is damaged, or its weights are those of other networks, with the
            first array that differs; or the folder has files or cannot be written. Then no folder is written.
        OSError: if the file cannot be opened.
    """
    path, folder = expand_path(path), expand_path(folder)
    check_known("model with published weights", name, known_models())
    if name == STYLE_TRANSFER:
        import_style_decoder(path, folder, data=data, data_dir=data_dir)
        return
    check_run_folder(folder)
    family = PRESETS[name].family if name in PRESETS else name
    plans: list[Plan] = []
    weights = read_weights(path, lambda headers: plans.append(_plan(name, family, headers, path)))
    (plan,) = plans
    networks = _networks(weights, PUBLISHED[family], path)
    config = with_absolute_paths(RunConfig(plan.options, data=data, data_dir=data_dir, image_size=plan.size))
    state = _state(plan, config, networks, path)
    if "discriminator" not in networks:
        notify(f"{path} has no discriminator: {random_network('discriminator')}")
    preset = name if name in PRESETS else None
    write_imported(folder, RunDescription(family, config, plan.example, preset=preset, imported=family), state, {})


def known_models() -> list[str]:
    """Return the families with published weights, and the presets that generators and discriminators may have."""
    families = [name for name in PUBLISHED if name in REGISTRY]
    return [*families, STYLE_TRANSFER, *(name for name, preset in PRESETS.items() if preset.family in families)]


class Plan(NamedTuple):
    """What the names and shapes of a file say, before an array is read.

    Attributes:
        options: options of the model.
        size: height and width of the images of the networks.
        example: a batch of one example, as of data that the weights were trained on.
        model: the model.
        like: shapes of the state of the model.
        variables: network of the file -> shapes of the variables that it stores.
        namings: names and layouts of "generator" and "discriminator".
    """

    options: Any
    size: int
    example: Batch
    model: Model
    like: State
    variables: Mapping[str, PyTree]
    namings: Mapping[str, Naming]


def _plan(name: str, family: str, headers: Weights, path: Path) -> Plan:
    """The model whose weights have these names and shapes; others are refused."""
    published = PUBLISHED[family]
    networks = _networks(headers, published, path)
    found = _found(published, networks, path)
    try:
        options = PRESETS[name].config if name in PRESETS else REGISTRY[family].config(**found.options)
        example = _example(found, size=getattr(options, "size", None) or found.size)
        model = build_model(REGISTRY[family], options, example)
    except InputError as error:
        raise InputError(f"the shapes of the arrays of {path} must be those of a {family}: {error}") from None
    like, namings = jax.eval_shape(model.init, jax.random.key(0), example), published.namings(options)
    variables = {}
    for network, weights in networks.items():
        role = _role(network)
        stored = {kind: x for kind, x in like.stats.get(role, {}).items() if kind not in published.not_stored}
        variables[network] = {"params": like.params[role], **stored}
        with _errors_of(network, path):
            check_weights(weights, variables[network], namings[role])
    return Plan(options, found.size, example, model, like, variables, namings)


def _role(network: str) -> str:
    """The network of the model: the average is one of the generator."""
    return "generator" if network == "average" else network


@contextlib.contextmanager
def _errors_of(network: str, path: Path) -> Iterator[None]:
    """Begin the sentences of errors with the network and the file."""
    try:
        yield
    except InputError as error:
        raise InputError(f"the {network} of {path}: {error}") from None


def _networks(weights: Weights, published: PublishedFamily, path: Path) -> Networks:
    """The weights of each network of a file."""
    # PyTorch's DataParallel puts this before the names of a network.
    weights = {re.sub(r"^((?:\w+\.)?)module\.", r"\1", name): x for name, x in weights.items()}
    parts = {name: re.split(r"[./]", name, maxsplit=1) for name in weights}
    prefixed = [name for name, part in parts.items() if part[0] in PREFIXES and len(part) == 2]
    if not prefixed:
        kind = "generator" if any(map(published.is_of_generator, weights)) else "discriminator"
        networks: dict[str, dict[str, Any]] = {kind: dict(weights)}
    else:
        if others := sorted(weights.keys() - set(prefixed)):
            raise InputError(
                f"the names of {path} must all begin with one of {', '.join(PREFIXES)}, or none of them, got "
                f"'{others[0]}' beside '{prefixed[0]}'"
            )
        networks = {}
        for name, (prefix, rest) in parts.items():
            network = networks.setdefault(PREFIXES[prefix], {})
            if rest in network:
                raise InputError(f"{path} must have each network once, got '{name}' and another of the same network")
            network[rest] = weights[name]
    if not {"generator", "average"} & networks.keys():
        raise InputError(
            f"{path} must have the weights of a generator, got none, so nothing could be sampled; files of jaxgen "
            "export are imported as MODEL jaxgen"
        )
    return networks


def _found(published: PublishedFamily, networks: Networks, path: Path) -> Found:
    """What the shapes of the weights say."""
    try:
        return published.find(networks.get("average", networks.get("generator", {})), networks.get("discriminator"))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _example(found: Found, size: int) -> Batch:
    """A batch of one example, as of data that the weights were trained on."""
    image = {"shape": [size, size, found.channels], "dtype": "uint8"}
    return example_from({"image": image} | ({"label": {"classes": found.classes}} if found.classes else {}))


def _state(plan: Plan, config: RunConfig[Any], networks: Networks, path: Path) -> State:
    """The state with the weights in place of random ones, with a leading axis of one seed."""
    model, like, found = plan.model, plan.like, {}
    for network, weights in networks.items():
        with _errors_of(network, path):
            found[network] = variables_from(weights, plan.variables[network], plan.namings[_role(network)])
    # The average has copies of what is not averaged, and it is the one that samples.
    average = found.pop("average", None) or found["generator"]
    found.setdefault("generator", average)
    state = zeros_of(like)
    if like.params.keys() - found.keys():
        state = select_seed(jax.device_get(initial_state(model, config.keys, plan.example)), 0)
    if state.ema:
        ema = {"generator": {**state.ema["generator"], **average}}
    else:
        found, ema = {**found, "generator": average}, {}
    params = {name: found[name]["params"] if name in found else own for name, own in state.params.items()}
    stats = {
        name: {kind: found.get(name, {}).get(kind, x) for kind, x in own.items()} for name, own in state.stats.items()
    }
    # Of networks that grow, the last phase has the largest images.
    step = np.asarray(sum(phase.steps or 0 for phase in model.phases), state.step.dtype)
    imported: State = add_seed_axis(state.replace(step=step, params=params, stats=stats, ema=ema))
    return imported
