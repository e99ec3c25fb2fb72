"""The `config.json` of a run, which stores its config, the family of its model, and what its data look like.

The file has a checksum of its content, by which every change is noticed, also one of an option that a resumed run may
change. A file that is complete but of another run is noticed by the description that is stored with each checkpoint
(`jaxgen.runs.config_changes`).
"""

import dataclasses
import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from jaxgen._signatures import checked
from jaxgen.data import describe, example_from
from jaxgen.errors import InputError, check_known, shortened
from jaxgen.models import REGISTRY, Family, family_errors, standardization
from jaxgen.models.family import describe_type, fits, option_types
from jaxgen.models.standardization import Standardization
from jaxgen.regular_files import read_regular
from jaxgen.runs.config import RunConfig, check_length, check_values
from jaxgen.runs.outputs import write_json
from jaxgen.typing import Batch

FORMAT = 1
"""Version of the format of a run folder."""

LIBRARIES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "numpy")


MAX_NAMED = 5
"""Largest number of run folders that an error message names."""


class RunDescription(NamedTuple):
    """The content of a `config.json`.

    Attributes:
        family: name of the model's family.
        config: everything else that determines the run.
        example: smallest batch that shows the shapes of its data.
        custom: whether the model was built in Python with modules or functions that a config cannot describe.
        preset: name of the preset from which the model's options were taken, even if others were then changed; None if
            there was none.
        class_names: name of each class in order of the labels; empty where they have none.
        standardization: how points of the user are standardized for the model; None where they are not.
        imported: program that wrote the weights of the run, jaxgen or the family whose authors' program it is; None for
            a run that was trained in its folder. An imported run has no optimizer states and cannot be resumed.
    """

    family: str
    config: RunConfig[Any]
    example: Batch
    custom: bool = False
    preset: str | None = None
    class_names: tuple[str, ...] = ()
    standardization: Standardization | None = None
    imported: str | None = None


@checked
def write_config(folder: Path, description: RunDescription) -> None:
    """Write `config.json` atomically.

    Args:
        folder: folder of the run.
        description: its content, beside which the versions of the libraries and a checksum are stored.

    Raises:
        InputError: if the disk is full or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxgen.models import vae
        >>> config = RunConfig(vae.Config(latent_dim=2))
        >>> description = RunDescription("vae", config, {"point": np.zeros((1, 2), np.float32)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_config(Path(folder), description)
        ...     json.loads((Path(folder) / "config.json").read_text())["config"]["model_config"]["latent_dim"]
        2
    """
    write_json(folder / "config.json", to_content(description))


def to_content(description: RunDescription, **further: Any) -> dict[str, Any]:
    """Return the content of a `config.json`.

    Args:
        description: description of a run.
        **further: further entries; anything that JSON can hold.

    Returns:
        Both, with the format, the versions of the libraries, and a checksum for `is_unedited`.
    """
    content = {
        "format": FORMAT,
        **to_json(description),
        **further,
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES},
    }
    return {**content, "sha256": _checksum(content)}


def to_json(description: RunDescription) -> dict[str, Any]:
    """Return a description as something that JSON can hold.

    Args:
        description: description of a run.

    Returns:
        The same for `from_json`.
    """
    return {
        "family": description.family,
        "preset": description.preset,
        "custom": description.custom,
        "config": dataclasses.asdict(description.config),
        "example": describe(description.example),
        "class_names": list(description.class_names),
        "standardization": standardization.describe(description.standardization),
        "imported": description.imported,
    }


@checked
def read_config(folder: Path, *, family: Family | None = None) -> RunDescription:
    """Read `config.json`. No code is imported for it.

    Args:
        folder: folder of the run.
        family: family of the run, needed where it is not part of the package.

    Returns:
        What `write_config` was given, the example with zeros for its values. The options of a custom model whose family
        is not known are a plain dict.

    Raises:
        InputError: if the folder is not that of a run, the file is damaged or was changed, or its family is not known,
            with what is wrong in it.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from jaxgen.models import vae
        >>> config = RunConfig(vae.Config(latent_dim=2))
        >>> description = RunDescription("vae", config, {"point": np.zeros((1, 2), np.float32)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_config(Path(folder), description)
        ...     read_config(Path(folder)).config.model_config.latent_dim
        2
    """
    content = read_content(folder)
    path = folder / "config.json"
    description = from_json(content, path, family=family)  # First: what is wrong says more than that something is.
    check_unedited(path, content)
    return description


def read_content(folder: Path) -> dict[str, Any]:
    """Read `config.json` without a check of its values.

    Args:
        folder: folder of the run.

    Returns:
        Its content.

    Raises:
        InputError: if the folder is not that of a run, or the file cannot be read or is of a newer jaxgen.

    Example:
        >>> read_content(Path("no such folder"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: no such folder is not a run folder: it has no config.json
    """
    path = folder / "config.json"
    if not path.exists():
        raise InputError(f"{folder} is not a run folder: it has no config.json{_runs_within(folder)}")
    try:
        content = json.loads(read_regular(path))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    check_format(path, content)
    return dict(content)


def family_for(folder: Path, family: Family | None) -> Family | None:
    """Return a family for a run that may be of it, or of one of the package.

    Args:
        folder: folder of the run.
        family: a family.

    Returns:
        The family, if the run is of it; otherwise None.

    Raises:
        InputError: as `read_content` does.
    """
    return family if family is not None and read_content(folder).get("family") == family.name else None


def _runs_within(folder: Path) -> str:
    """The end of a sentence that names the run folders in a folder, such as that of a sweep."""
    try:
        found = sorted(path.name for path in folder.iterdir() if (path / "config.json").is_file())
    except (OSError, ValueError):  # ValueError: a zero byte.
        return ""
    if not found:
        return ""
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return f"; run folders in it are {', '.join(found[:MAX_NAMED])}{more}"


def check_format(path: Path, content: Any, *, exported: bool = False) -> None:
    """Check that the content of a `config.json` has a format that this version reads.

    Args:
        path: path of the file, for the message.
        content: its content.
        exported: whether the file is that of an exported run, for the message.

    Raises:
        InputError: if it has no format, or that of a newer jaxgen.

    Example:
        >>> check_format(Path("runs/x/config.json"), {"format": 99})
        Traceback (most recent call last):
        jaxgen.errors.InputError: runs/x/config.json has the format 99, of a newer jaxgen than this one, which reads
        formats up to 1: install a newer version
    """
    try:
        version = content["format"]
        if type(version) is not int or version < 1:
            raise TypeError("the format is not a version")
    except (KeyError, TypeError) as error:
        raise _damaged(path, error, exported=exported) from None
    if version > FORMAT:
        raise InputError(
            f"{path} has the format {shortened(version)}, of a newer jaxgen than this one, which reads formats up to "
            f"{FORMAT}: install a newer version"
        )


def check_unedited(path: Path, content: Mapping[str, Any]) -> None:
    """Check that a `config.json` has the content with which it was written.

    Args:
        path: path of the file, for the message.
        content: its content.

    Raises:
        InputError: if its checksum is that of another content.

    Example:
        >>> check_unedited(Path("runs/x/config.json"), {"steps": 4, "sha256": "0"})
        Traceback (most recent call last):
        jaxgen.errors.InputError: runs/x/config.json was changed or damaged after it was written: put back what it was,
        or start a new run from it by jaxgen train --config runs/x/config.json
    """
    if not is_unedited(content):
        raise InputError(
            f"{path} was changed or damaged after it was written: put back what it was, or start a new run from it by "
            f"jaxgen train --config {path}"
        )


def is_unedited(content: Mapping[str, Any]) -> bool:
    """Return whether a content has the checksum with which `to_content` returned it.

    Args:
        content: the content, as JSON returns it.

    Returns:
        Whether it has.

    Example:
        >>> is_unedited({"steps": 4, "sha256": "0"})
        False
    """
    return content.get("sha256") == _checksum({name: value for name, value in content.items() if name != "sha256"})


def from_json(content: Any, path: Path, *, family: Family | None = None, exported: bool = False) -> RunDescription:
    """Return what `to_json` was given. No code is imported for it.

    Args:
        content: result of `to_json`, as JSON returns it.
        path: file that it comes from, for messages.
        family: family of the run, needed where it is not part of the package.
        exported: whether the file is that of an exported run, for messages.

    Returns:
        The description, the example with zeros for its values.

    Raises:
        InputError: if the content is damaged or its family is not known.
    """
    try:
        name, config, example_batch = content["family"], content["config"], content["example"]
        custom, preset, imported = content.get("custom", False) is True, content.get("preset"), content.get("imported")
        texts = isinstance(name, str) and isinstance(preset, str | None) and isinstance(imported, str | None)
        if not (texts and isinstance(config, Mapping)):
            raise TypeError("family, preset, imported or config has another type")
    except (AttributeError, KeyError, TypeError) as error:
        raise _damaged(path, error, exported=exported) from None
    known = _family(path, name, family, custom=custom, exported=exported)
    try:
        read = _config_from(config, known, custom=custom)
        shown = example_from(example_batch)
        class_names = _class_names_from(content.get("class_names", []), shown)
        columns = shown["point"].shape[1] if "point" in shown else 0
        by = standardization.standardization_from(content.get("standardization"), columns)
        return RunDescription(name, read, shown, custom, preset, class_names, by, imported)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_options(family: Family, config: RunConfig[Any], *, custom: bool) -> None:
    """Check that a config can be stored in a `config.json` and read again.

    Args:
        family: family of the model.
        config: config of a run.
        custom: whether the model is not the one that the family builds from the options; then they may be None.

    Raises:
        InputError: if the options of the model are not of the family, a value is not of the type of its option, or a
            number is not finite.

    Example:
        >>> from jaxgen.models import gan
        >>> check_options(REGISTRY["vae"], RunConfig(gan.Config), custom=True)
        Traceback (most recent call last):
        jaxgen.errors.InputError: model_config must be None or a vae Config, got <class '...'>
    """
    options = config.model_config
    if options is None and custom:
        return
    # Exactly: the further options of a subclass could not be read.
    if type(options) is not family.config:
        raise InputError(
            f"model_config must be {'None or ' if custom else ''}a {family.name} Config, got {shortened(options)}"
        )
    check_values(options, option_types(family.config))


def fields_from(kind: type, content: Any) -> dict[str, Any]:
    """Check values of the fields of a dataclass that come from JSON, which has lists for tuples.

    Args:
        kind: dataclass.
        content: name of a field -> its value.

    Returns:
        The values, with tuples for lists.

    Raises:
        InputError: if there is no such field, or a value is not of its type.

    Example:
        >>> fields_from(RunConfig, {"steps": 10, "data": "ring"})
        {'data': 'ring', 'steps': 10}
    """
    if not isinstance(content, Mapping):
        raise InputError(f"the fields of {kind.__name__} must be a mapping, got {shortened(content)}")
    hints = option_types(kind)
    if unknown := set(content) - set(hints):
        check_known("option", min(unknown), hints)
    values = {}
    for name, hint in hints.items():
        if name not in content:
            continue
        value = tuple(content[name]) if isinstance(content[name], list) else content[name]
        if not fits(value, hint):
            raise InputError(f"'{name}' must be {describe_type(hint)}, got {shortened(content[name])}")
        check_length(f"'{name}'", value)
        values[name] = value
    return values


def _checksum(content: Mapping[str, Any]) -> str:
    """The SHA-256 of values, whatever the white space and the order of names with which they are written."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _damaged(path: Path, error: Exception, *, exported: bool = False) -> InputError:
    if exported:
        return InputError(f"the config in {path} is damaged ({type(error).__name__}: {error}): export the run again")
    return InputError(
        f"{path} is damaged, and without it the checkpoints cannot be read ({type(error).__name__}: {error}): "
        "put a copy in its place, or train again"
    )


def _family(path: Path, name: str, family: Family | None, *, custom: bool, exported: bool) -> Family | None:
    """The family of a run; None for a custom model of an unknown one."""
    if family is not None and family.name != name:
        raise InputError(f"{path.parent} holds a run of the model '{name}', not '{family.name}'")
    known = family or REGISTRY.get(name)
    if known is None and not custom:
        call = "import_run(path, folder, family=...)" if exported else "load_run(folder, family=...)"
        raise InputError(
            f"{path} is of the family '{name}', which is not part of jaxgen: give the file or module that defines it, "
            f"as --family on the command line, or {call}"
        )
    return known


def _class_names_from(content: Any, example: Batch) -> tuple[str, ...]:
    """Check the names of the classes that come from JSON."""
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise InputError(f"the class names must be a list of strings, got {shortened(content)}")
    classes = int(example["label"].max()) + 1 if "label" in example else 0
    if content and len(content) != classes:
        raise InputError(f"the class names must be as many as the {classes} classes, got {len(content)}")
    return tuple(content)


def _config_from(content: Mapping[str, Any], family: Family | None, *, custom: bool) -> RunConfig[Any]:
    outer = fields_from(RunConfig, {name: value for name, value in content.items() if name != "model_config"})
    options = content.get("model_config")
    if family is None or (custom and options is None):
        return RunConfig(model_config=options, **outer)
    if not isinstance(options, Mapping):
        raise InputError(f"'model_config' must be the options of the model, got {shortened(options)}")
    with family_errors(family):
        return RunConfig(model_config=family.config(**fields_from(family.config, options)), **outer)
