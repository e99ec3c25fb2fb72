"""Config files: the `config.json` of a run, or a YAML or JSON file of the same options written by hand.

A file that is written by hand names the model, a family or a preset, and any of the options of `jaxgen train`::

    model: wgan-gp
    data: ring
    steps: 8000
    learning_rate: 1e-3
    hidden: [64, 64]
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from jaxgen.errors import InputError, check_known
from jaxgen.models import Family, family_errors
from jaxgen.models.family import option_types
from jaxgen.regular_files import read_regular
from jaxgen.runs.config import RunConfig, custom_model_message, fields_from

MAX_BYTES = 2**20
"""Largest size of a config file; those that are written by hand have some hundred bytes."""

SUFFIXES = (".json", ".yaml", ".yml")


class ConfigFile(NamedTuple):
    """Content of a config file.

    Attributes:
        path: path of the file.
        model: name of a family or of a preset.
        options: name of an option -> its value, of the training and of the model.
    """

    path: Path
    model: str
    options: dict[str, Any]


def read_config_file(path: Path) -> ConfigFile:
    r"""Read a config file. Nothing in it is executed.

    Args:
        path: path of a `.json`, `.yaml` or `.yml` file.

    Returns:
        The model and its options; their values are checked by `apply_options`.

    Raises:
        InputError: if the file cannot be read, is not a mapping, or names no model.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "ring.yaml"
        ...     _ = path.write_text("model: wgan-gp\ndata: ring\n")
        ...     read_config_file(path)[1:]
        ('wgan-gp', {'data': 'ring'})
    """
    content = _content(path)
    if "family" in content and "config" in content:
        return _of_run(path, content)
    options = {str(name).replace("-", "_"): value for name, value in content.items()}
    model = options.pop("model", None)
    if not isinstance(model, str):
        raise InputError(f"{path} must name the model, as in 'model: vae', or be the config.json of a run")
    return ConfigFile(path, model, options)


def apply_options(file: ConfigFile, family: Family, config: RunConfig[Any]) -> RunConfig[Any]:
    """Return a config with the options of a file.

    Args:
        file: content of the file.
        family: family of the model.
        config: config with the values of the options that are not in the file.

    Returns:
        The config with the values of the file.

    Raises:
        InputError: if there is no such option, or a value is not of its type.

    Example:
        >>> from jaxgen.models import REGISTRY
        >>> file = ConfigFile(Path("x.yaml"), "vae", {"steps": 10, "learning_rate": "1e-4"})
        >>> config = apply_options(file, REGISTRY["vae"], RunConfig(REGISTRY["vae"].config()))
        >>> config.steps, config.model_config.learning_rate
        (10, 0.0001)
    """
    outer = {name: hint for name, hint in option_types(RunConfig).items() if name != "model_config"}
    inner = option_types(family.config)
    try:
        for name in file.options:
            check_known("option", name, {**outer, **inner})
        values = {name: _number(value, {**outer, **inner}[name]) for name, value in file.options.items()}
        of_run = fields_from(RunConfig, {name: value for name, value in values.items() if name in outer})
        of_model = fields_from(family.config, {name: value for name, value in values.items() if name in inner})
        with family_errors(family):
            model_config = dataclasses.replace(config.model_config, **of_model)
        return dataclasses.replace(config, model_config=model_config, **of_run)
    except InputError as error:
        raise InputError(f"{file.path}: {error}") from None


def _content(path: Path) -> Mapping[str, Any]:
    if path.suffix not in SUFFIXES:
        raise InputError(f"the config file must end in {', '.join(SUFFIXES)}, got '{path}'")
    if not path.exists():
        raise InputError(f"there is no config file '{path}'")
    try:
        text = read_regular(path, largest=MAX_BYTES).decode()
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except InputError:
        raise
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:]}: {' '.join(str(error).split())}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path} must hold options and their values, got {type(content).__name__}")
    return content


def _of_run(path: Path, content: Mapping[str, Any]) -> ConfigFile:
    config, model = content["config"], content.get("preset") or content["family"]
    if content.get("custom"):
        raise InputError(custom_model_message(path.parent))
    if not (isinstance(config, Mapping) and isinstance(config.get("model_config"), Mapping) and isinstance(model, str)):
        raise InputError(f"{path} is damaged: its family, config or model_config has another type")
    of_run = {name: value for name, value in config.items() if name != "model_config"}
    return ConfigFile(path, model, {**of_run, **config["model_config"]})


def _number(value: Any, hint: Any) -> Any:
    """Read numbers such as 1e-3, which YAML takes for text unless they have a decimal point."""
    if isinstance(value, str) and not any(kind is str for kind in (hint, *getattr(hint, "__args__", ()))):
        try:
            return float(value)
        except ValueError:
            return value
    return value
