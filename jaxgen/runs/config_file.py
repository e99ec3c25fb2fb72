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
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import yaml

from jaxgen.errors import InputError, check_known, shortened
from jaxgen.models import Family, family_errors
from jaxgen.models.family import option_types
from jaxgen.regular_files import read_regular
from jaxgen.runs.config import RunConfig, custom_model_message
from jaxgen.runs.config_json import check_format, fields_from

MAX_BYTES = 2**20
"""Largest size of a `.json` file, which has the names of all classes."""

MAX_YAML_BYTES = 2**16
"""Largest size of a YAML file; one that is written by hand has some hundred bytes, and its parser is slow."""

MAX_LEVELS = 8
"""Largest number of levels of lists and mappings in a YAML file; the `config.json` of a run has five."""

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
    try:
        options = _distinct([(str(name).replace("-", "_"), value) for name, value in content.items()])
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
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
        >>> file = ConfigFile(Path("x.yaml"), "vae", {"steps": 10, "learning_rate": 1e-4})
        >>> config = apply_options(file, REGISTRY["vae"], RunConfig(REGISTRY["vae"].config()))
        >>> config.steps, config.model_config.learning_rate
        (10, 0.0001)
    """
    outer = {name: hint for name, hint in option_types(RunConfig).items() if name != "model_config"}
    inner = option_types(family.config)
    try:
        for name in file.options:
            check_known("option", name, {**outer, **inner})
        of_run = fields_from(RunConfig, {name: value for name, value in file.options.items() if name in outer})
        of_model = fields_from(family.config, {name: value for name, value in file.options.items() if name in inner})
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
    is_json = path.suffix == ".json"
    text = read_regular(path, largest=MAX_BYTES if is_json else MAX_YAML_BYTES)
    try:
        content = json.loads(text, object_pairs_hook=_distinct) if is_json else yaml.load(text.decode(), _Loader)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read as {path.suffix[1:]}: {' '.join(str(error).split())}") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{path} must hold options and their values, got {type(content).__name__}")
    return content


def _distinct(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict; a name that is given twice is refused, as otherwise the last value would count."""
    found: dict[Any, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"{shortened(name)} is given twice: leave out one of them")
        found[name] = value
    return found


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """A loader of plain values: each is written once, so that a short file cannot stand for many values.

    Numbers and words are those of the core schema of YAML 1.2 (section 10.3.2), in decimal notation. YAML 1.1, which
    PyYAML reads, takes 1e-3 for text, 1:30 for 90 and no for false.
    """

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}
    level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse anchors, aliases, tags, and many levels, of which PyYAML reads each more slowly than the last."""
        event = self.peek_event()
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise InputError("anchors, aliases and tags have no place in a config: write each value where it is used")
        if self.level == MAX_LEVELS:
            raise InputError(f"a config must have at most {MAX_LEVELS} levels of lists and options, got more")
        self.level += 1
        node = super().compose_node(parent, index)
        self.level -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a name that is given twice."""
        _distinct([(key.value, None) for key, _ in node.value if isinstance(key, yaml.ScalarNode)])
        return super().construct_mapping(node, deep)


for _kind, _pattern in (
    ("null", "null|Null|NULL|~|"),
    ("bool", "true|True|TRUE|false|False|FALSE"),
    ("int", "[-+]?[0-9]+"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), None)
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))  # 010 is no octal number.


def _of_run(path: Path, content: Mapping[str, Any]) -> ConfigFile:
    check_format(path, content)
    config, model = content["config"], content.get("preset") or content["family"]
    if content.get("custom"):
        raise InputError(custom_model_message(path.parent))
    if not (isinstance(config, Mapping) and isinstance(config.get("model_config"), Mapping) and isinstance(model, str)):
        raise InputError(f"{path} is damaged: its family, config or model_config has another type")
    of_run = {name: value for name, value in config.items() if name != "model_config"}
    return ConfigFile(path, model, {**of_run, **config["model_config"]})
