"""What a run was asked for, and the `config.json` that remembers it."""

import dataclasses
import json
import platform
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from jaxgen.data import DATASETS, describe, example_from
from jaxgen.errors import InputError, check_known, suggest
from jaxgen.models import REGISTRY, Family
from jaxgen.runs.outputs import write_json
from jaxgen.typing import Batch

Config = TypeVar("Config")

LIBRARIES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "numpy")


@dataclass(frozen=True)
class RunConfig(Generic[Config]):
    """Everything that decides how a run goes, beside the family of the model.

    Attributes:
        config: choices of the model's family.
        data: name of a data set, or path of a folder of pictures or of an .npz file.
        data_dir: where data sets are kept.
        image_size: side in pixels to which a folder of pictures is scaled and cropped.
        steps: turns to train for.
        batch_size: examples that a player sees in one move.
        seed: of all randomness.
        seeds: train this many runs at once, with seeds SEED, SEED + 1, ...
        log_every: turns between two lines of the log. The training stops for nothing else: checkpoints and pictures
            that fall between two lines are made with the next one.
        checkpoint_every: turns between two checkpoints; choose a multiple of log_every to have them exactly there.
        image_every: turns between two pictures; choose a multiple of log_every to have them exactly there.
    """

    config: Config
    data: str = "digits"
    data_dir: str | None = None
    image_size: int | None = None
    steps: int = 5000
    batch_size: int = 128
    seed: int = 0
    seeds: int | None = None
    log_every: int = 100
    checkpoint_every: int = 1000
    image_every: int = 1000

    def __post_init__(self) -> None:
        """Refuse what no run can be."""
        for name in ("steps", "batch_size", "log_every", "checkpoint_every", "image_every", "image_size", "seeds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{option(name)} must be at least 1, got {value}")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed must be between 0 and {2**31 - 1}, got {self.seed}")


def located(config: RunConfig[Any]) -> RunConfig[Any]:
    """Make paths absolute, so that a run can be continued and evaluated from another folder.

    Args:
        config: as given.

    Returns:
        The settings with the whole paths of the user's own data and of the folder of data sets.

    Example:
        >>> located(RunConfig(model_config=None, data="ring")).data
        'ring'
        >>> located(RunConfig(model_config=None, data=".")).data == str(Path.cwd())
        True
    """
    data, data_dir = config.data, config.data_dir
    if data not in DATASETS and Path(data).expanduser().exists():
        data = str(Path(data).expanduser().absolute())
    if data_dir is not None:
        data_dir = str(Path(data_dir).expanduser().absolute())
    return dataclasses.replace(config, data=data, data_dir=data_dir)


class RunDescription(NamedTuple):
    """The content of a `config.json`.

    Attributes:
        family: name of the model's family in the registry.
        config: everything else that decides how the run goes.
        example: the smallest batch that shows what its data look like.
    """

    family: str
    config: RunConfig[Any]
    example: Batch


def write_config(folder: Path, asked: RunDescription) -> None:
    """Write `config.json`, whole or not at all.

    Args:
        folder: of the run.
        asked: the content, beside which the versions of the libraries are kept.

    Raises:
        InputError: if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxgen.models import vae
        >>> asked = RunDescription("vae", RunConfig(vae.Config(latent_dim=2)), {"point": np.zeros((1, 2), np.float32)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_config(Path(folder), asked)
        ...     json.loads((Path(folder) / "config.json").read_text())["config"]["config"]["latent_dim"]
        2
    """
    content = {
        "model": asked.family,
        "settings": dataclasses.asdict(asked.config),
        "example": describe(asked.example),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES},
    }
    write_json(folder / "config.json", content)


def read_config(folder: Path) -> RunDescription:
    """Read `config.json`.

    Args:
        folder: of the run.

    Returns:
        What `write_config` was given, the example with zeros for its numbers.

    Raises:
        InputError: if the folder is not that of a run, or the file has been damaged, with what is wrong in it.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxgen.models import vae
        >>> asked = RunDescription("vae", RunConfig(vae.Config(latent_dim=2)), {"point": np.zeros((1, 2), np.float32)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_config(Path(folder), asked)
        ...     read_config(Path(folder)).config.model_config.latent_dim
        2
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a run folder: it has no config.json")
    try:
        content = json.loads(path.read_text())
        family, config, shown = content["model"], content["settings"], content["example"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged, and without it the checkpoints cannot be read ({type(error).__name__}: {error}): "
            "put a copy in its place, or train anew"
        ) from None
    if not isinstance(family, str) or family not in REGISTRY:
        raise InputError(f"{path} names the model '{family}', which is not known: {suggest(str(family), REGISTRY)}")
    try:
        example = example_from(shown)
        return RunDescription(family, _settings_from(config, REGISTRY[family], example), example)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_unchanged(before: RunDescription, now: RunDescription, folder: Path) -> None:
    """Allow a run that goes on to have more steps and its data in another place, and nothing else to differ.

    Args:
        before: what the run was asked for.
        now: what it is asked for as it goes on.
        folder: of the run.

    Raises:
        InputError: with the name of what differs.

    Example:
        >>> from jaxgen.models import vae
        >>> before, now = (RunDescription("vae", RunConfig(vae.Config(), seed=seed), {}) for seed in (0, 1))
        >>> check_unchanged(before, now, Path("runs/x"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: runs/x was trained with --seed 0, not 1: a run that goes on may only get more --steps
    """
    if before.family != now.family:
        raise InputError(f"{folder} holds a run of the model '{before.family}', not '{now.family}'")
    old, new = _flat(before.config), _flat(now.config)
    for name in old:
        if name not in ("steps", "data_dir") and old[name] != new[name]:
            raise InputError(
                f"{folder} was trained with {option(name)} {shown(old[name])}, not {shown(new[name])}: "
                f"a run that goes on may only get more --steps"
            )


def _flat(config: RunConfig[Any]) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    return values.pop("config") | values


def option(name: str) -> str:
    """A setting as the command line names it.

    Args:
        name: of the field.

    Returns:
        The option.

    Example:
        >>> option("batch_size")
        '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


def shown(value: Any) -> str:
    """A value as it is typed on the command line.

    Args:
        value: of a setting.

    Returns:
        Its words, or a word for none of them.

    Example:
        >>> shown((64, 32)), shown(()), shown(0.5)
        ('64 32', '(none)', '0.5')
    """
    return " ".join(map(str, value)) or "(none)" if isinstance(value, tuple) else str(value)


def _settings_from(content: Mapping[str, Any], family: Family, example: Batch) -> RunConfig[Any]:
    if not isinstance(content, Mapping):
        raise InputError(f"expected the settings, got {content!r}")
    outer = _fields_from(RunConfig, {**content, "config": None}, skip=("config",))
    choices = family.updated(_fields_from(family.config, content.get("config", {})), example)
    return RunConfig(model_config=family.config(**choices), **outer)


def _fields_from(kind: type, content: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    """Check the values of a dataclass that come from JSON, which has lists for tuples."""
    if not isinstance(content, Mapping):
        raise InputError(f"expected the fields of {kind.__name__}, got {content!r}")
    hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if name not in skip}
    if unknown := set(content) - set(hints) - set(skip):
        check_known("setting", min(unknown), hints)
    values = {}
    for name, hint in hints.items():
        if name not in content:
            continue
        value = tuple(content[name]) if isinstance(content[name], list) else content[name]
        if not _fits(value, hint):
            raise InputError(f"the setting '{name}' cannot be {content[name]!r}")
        values[name] = value
    return values


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, for those types that settings have."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, option) for option in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(item, arguments[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
