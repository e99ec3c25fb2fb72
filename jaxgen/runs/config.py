"""The config of a run, and the `config.json` that stores it.

The file has a checksum of its content, by which every change is noticed, also one of an option that a resumed run may
change. A file that is complete but of another run is noticed by the description that is stored with each checkpoint.
"""

import dataclasses
import hashlib
import json
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from jaxgen.data import DATASETS, Augmentation, DataSource, describe, example_from
from jaxgen.data.sources import is_path
from jaxgen.errors import InputError, check_known, printable, shortened
from jaxgen.models import REGISTRY, Family, family_errors, standardization
from jaxgen.models.family import fits, option_types
from jaxgen.models.standardization import Standardization
from jaxgen.paths import expand_path
from jaxgen.regular_files import read_regular
from jaxgen.runs.outputs import write_json
from jaxgen.training.seeds import seed_keys
from jaxgen.typing import Array, Batch, Key

ModelConfig = TypeVar("ModelConfig")

FORMAT = 1
"""Version of the format of a run folder."""

MAY_CHANGE = ("steps", "epochs", "patience", "data_dir")
"""Options in which a resumed run may differ."""

MAY_CHANGE_TEXT = "--steps, --epochs, --patience and --data-dir"

COUNTS = (
    "steps",
    "batch_size",
    "log_every",
    "checkpoint_every",
    "evaluate_every",
    "image_every",
    "image_size",
    "seeds",
    "patience",
)
"""Options that are numbers of something, at least 1."""

BATCH_SIZE = 128
"""Default number of examples in one update, where the data have enough."""

EVALUATIONS = 20
"""Default number of evaluations of the validation examples."""

LIBRARIES = ("jaxgen", "jax", "jaxlib", "flax", "optax", "numpy")


@dataclass(frozen=True)
class RunConfig(Generic[ModelConfig]):
    """Everything that determines a run, beside the family of the model.

    Attributes:
        model_config: options of the model's family.
        data: name of a data set, or path of a folder of images, or of an .npz or .csv file.
        data_dir: folder of the data sets; by default $TFDS_DATA_DIR, or ~/tensorflow_datasets.
        image_size: height and width in pixels to which images are scaled and cropped; by default images keep their
            size, which must be the same for all.
        steps: number of training steps.
        epochs: number of passes over the training data, in place of a number of steps; by default steps count.
        batch_size: number of examples in one update of a player; by default 128, or fewer where the data are few.
        seed: seed of all random numbers.
        seeds: number of runs to train at once, with seeds SEED, SEED + 1, ...; by default a single run.
        log_every: number of steps between two lines of the log, which evaluations of validation examples can shorten.
            The training stops for nothing else: checkpoints and images that are due between two lines are made with
            the next one.
        checkpoint_every: number of steps between two checkpoints; a multiple of log_every to have them exactly there.
        image_every: number of steps between two image grids and measurements of samples; a multiple of log_every to
            have them exactly there.
        flip: flip each training image horizontally with probability 1/2.
        shift: largest number of pixels by which training images are shifted at random; 0 for none.
        crop: smallest side of a random crop of a training image, which is scaled to the whole image, as a share of its
            side; 1 for none.
        precision: precision of the products of networks in training; everything else is computed in float32.
        validation_fraction: share of the training examples of each class that are set aside and evaluated during the
            training; by default none.
        evaluate_every: number of steps between two evaluations of the validation examples; by default a twentieth of
            the training.
        keep_best: metric by which the best state is kept beside the newest ones, one of validation examples such as
            elbo, or of samples such as samples/modes; max:NAME or min:NAME for a metric of a family of your own, of
            which the largest or the smallest value is best; by default the newest ones only are kept.
        patience: number of evaluations without a better value of keep_best after which the training ends; by default it
            does not end early.
        init_from: run folder whose parameters the networks of the same names start from, those of its best state where
            it keeps one; by default they are initialized at random.
    """

    model_config: ModelConfig
    data: str = "digits"
    data_dir: str | None = None
    image_size: int | None = None
    steps: int = 5000
    epochs: float | None = None
    batch_size: int | None = None
    seed: int = 0
    seeds: int | None = None
    log_every: int = 100
    checkpoint_every: int = 1000
    image_every: int = 1000
    flip: bool = False
    shift: int = 0
    crop: float = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    validation_fraction: float | None = None
    evaluate_every: int | None = None
    keep_best: str | None = None
    patience: int | None = None
    init_from: str | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and not 1 <= value < 2**31:
                raise InputError(f"{option(name)} must be {'at least 1' if value < 1 else 'below 2^31'}, got {value}")
        if self.epochs is not None and not 0 < self.epochs < 2**31:
            raise InputError(f"--epochs must be above 0 and below 2^31, got {self.epochs}")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"--precision must be float32 or bfloat16, got {self.precision}")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed must be between 0 and {2**31 - 1}, got {self.seed}")

    @property
    def source(self) -> DataSource:
        """The data set."""
        return DataSource(self.data, self.data_dir, self.image_size)

    @property
    def update_size(self) -> int:
        """Number of examples in one update."""
        return self.batch_size or BATCH_SIZE

    def completed(self, examples: int, slices: int, devices: int) -> "RunConfig[ModelConfig]":
        """Return the config with the numbers that depend on the data, the model and each other.

        Args:
            examples: number of training examples.
            slices: number of batches that one step consumes.
            devices: number of devices, of which the batch size is a multiple.

        Returns:
            The config; what is given is unchanged, but for steps where epochs are given.

        Example:
            >>> completed = RunConfig(None, epochs=3).completed(examples=60, slices=1, devices=1)
            >>> completed.batch_size, completed.steps
            (60, 3)
        """
        size = self.batch_size or min(BATCH_SIZE, max(1, examples // slices))
        if self.batch_size is None and size > devices:
            size -= size % devices
        steps = self.steps
        if self.epochs is not None:
            steps = max(1, round(self.epochs * max(1, examples // (size * slices))))
        evaluate_every = self.evaluate_every
        if evaluate_every is None and self.validation_fraction is not None:
            evaluate_every = max(1, steps // EVALUATIONS)
        return dataclasses.replace(self, batch_size=size, steps=steps, evaluate_every=evaluate_every)

    def with_numbers_of(self, before: "RunConfig[ModelConfig]") -> "RunConfig[ModelConfig]":
        """Return the config of a run that is resumed, in which what is not given stays as it was.

        Args:
            before: complete config with which the run has begun.

        Returns:
            The config with its batch size and interval of evaluations, where they are None.
        """
        own = {"batch_size": self.batch_size, "evaluate_every": self.evaluate_every}
        kept = {name: getattr(before, name) for name, value in own.items() if value is None}
        return dataclasses.replace(self, **kept)

    @property
    def chunk(self) -> int:
        """Largest number of steps after which a line of the log is written, and all else happens that is due."""
        return min(self.log_every, self.evaluate_every or self.log_every)

    @property
    def augmentation(self) -> Augmentation:
        """The random changes of training images."""
        return Augmentation(self.flip, self.shift, self.crop)

    @property
    def keys(self) -> Key[Array, " seeds"]:
        """The key of each seed, along an axis of one for a single run."""
        return seed_keys(self.seed, self.seeds or 1)


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
    """

    family: str
    config: RunConfig[Any]
    example: Batch
    custom: bool = False
    preset: str | None = None
    class_names: tuple[str, ...] = ()
    standardization: Standardization | None = None


def with_absolute_paths(config: RunConfig[Any]) -> RunConfig[Any]:
    """Make paths absolute, so that a run can be continued and evaluated from another folder.

    Args:
        config: config with paths as a user gave them.

    Returns:
        The config with absolute paths of the user's own data, of the folder of data sets, and of another run.

    Example:
        >>> with_absolute_paths(RunConfig(model_config=None, data="ring")).data
        'ring'
        >>> with_absolute_paths(RunConfig(model_config=None, data=".")).data == str(Path.cwd())
        True
    """
    data, data_dir, init_from = config.data, config.data_dir, config.init_from
    if data not in DATASETS and is_path(data):
        data = str(expand_path(data).absolute())
    if data_dir is not None:
        data_dir = str(expand_path(data_dir).absolute())
    if init_from is not None:
        init_from = str(expand_path(init_from).absolute())
    return dataclasses.replace(config, data=data, data_dir=data_dir, init_from=init_from)


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
    content = {
        "format": FORMAT,
        **to_json(description),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in LIBRARIES},
    }
    write_json(folder / "config.json", {**content, "sha256": _checksum(content)})


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
    }


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
        raise InputError(f"{folder} is not a run folder: it has no config.json")
    try:
        content = json.loads(read_regular(path))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    check_format(path, content)
    return dict(content)


def check_format(path: Path, content: Any) -> None:
    """Check that the content of a `config.json` has a format that this version reads.

    Args:
        path: path of the file, for the message.
        content: its content.

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
        raise _damaged(path, error) from None
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
    if content.get("sha256") != _checksum({name: value for name, value in content.items() if name != "sha256"}):
        raise InputError(
            f"{path} was changed or damaged after it was written: put back what it was, or start a new run from it by "
            f"jaxgen train --config {path}"
        )


def _checksum(content: Mapping[str, Any]) -> str:
    """The SHA-256 of values, whatever the white space and the order of names with which they are written."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def from_json(content: Any, path: Path, *, family: Family | None = None) -> RunDescription:
    """Return what `to_json` was given. No code is imported for it.

    Args:
        content: result of `to_json`, as JSON returns it.
        path: file that it comes from, for messages.
        family: family of the run, needed where it is not part of the package.

    Returns:
        The description, the example with zeros for its values.

    Raises:
        InputError: if the content is damaged or its family is not known.
    """
    try:
        name, config, example_batch = content["family"], content["config"], content["example"]
        custom, preset = content.get("custom", False) is True, content.get("preset")
        if not (isinstance(name, str) and isinstance(config, Mapping) and isinstance(preset, str | None)):
            raise TypeError("family, preset or config has another type")
    except (AttributeError, KeyError, TypeError) as error:
        raise _damaged(path, error) from None
    known = _family(path, name, family, custom=custom)
    try:
        read = _config_from(config, known, custom=custom)
        shown = example_from(example_batch)
        class_names = _class_names_from(content.get("class_names", []), shown)
        columns = shown["point"].shape[1] if "point" in shown else 0
        by = standardization.standardization_from(content.get("standardization"), columns)
        return RunDescription(name, read, shown, custom, preset, class_names, by)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def check_trained_with(stored: Any, now: RunDescription, checkpoint: Path, *, family: Family | None) -> None:
    """Check that the `config.json` of a run is the one with which the state of a checkpoint was trained.

    Args:
        stored: description that is stored beside the state, as `to_json` returns it; None where none is stored.
        now: description that was read from the `config.json`.
        checkpoint: folder of the checkpoint, as `RUN/checkpoints/60`.
        family: family of the run, needed where it is not part of the package.

    Raises:
        InputError: with the name of what differs.
    """
    if stored is None:
        return
    before = from_json(stored, checkpoint, family=family)
    if change := _change(before, now):
        raise InputError(
            f"{checkpoint.parents[1] / 'config.json'} was changed after {checkpoint} was written, which is of a run "
            f"{change}: put back what it was"
        )


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is damaged, and without it the checkpoints cannot be read ({type(error).__name__}: {error}): "
        "put a copy in its place, or train again"
    )


def check_unchanged(before: RunDescription, now: RunDescription, folder: Path) -> None:
    """Check that a resumed run differs only in the number of its steps and in the folder of its data.

    Args:
        before: description of the run.
        now: description with which it is resumed.
        folder: folder of the run.

    Raises:
        InputError: with the name of what differs.

    Example:
        >>> from jaxgen.models import vae
        >>> before, now = (RunDescription("vae", RunConfig(vae.Config(), seed=seed), {}) for seed in (0, 1))
        >>> check_unchanged(before, now, Path("runs/x"))
        Traceback (most recent call last):
        jaxgen.errors.InputError: runs/x was trained with --seed 0, not 1: a resumed run may differ only in --steps,
        --epochs, --patience and --data-dir
    """
    if before.family != now.family:
        raise InputError(f"{folder} holds a run of the model '{before.family}', not '{now.family}'")
    if before.custom and not now.custom:
        raise InputError(custom_model_message(folder))
    if now.custom and not before.custom:
        raise InputError(f"{folder} was trained with the model that its family builds: resume it without another model")
    if describe(before.example) != describe(now.example):
        raise InputError(
            f"{folder} was trained on data with {describe(before.example)}, not {describe(now.example)}: resume it "
            f"with the same data"
        )
    if before.class_names != now.class_names:
        raise InputError(
            f"{folder} was trained on data with the classes {', '.join(map(printable, before.class_names))}, not "
            f"{', '.join(map(printable, now.class_names))}: resume it with the same data"
        )
    if change := _change(before, now):
        raise InputError(f"{folder} was trained {change}: a resumed run may differ only in {MAY_CHANGE_TEXT}")


def _change(before: RunDescription, now: RunDescription) -> str | None:
    """A clause with the first difference of two descriptions; None where a run may be resumed."""
    if (before.family, before.custom) != (now.family, now.custom):
        return f"of the model '{before.family}', not '{now.family}'"
    if describe(before.example) != describe(now.example):
        return f"on data with {describe(before.example)}, not {describe(now.example)}"
    old, new = dataclasses.asdict(before.config), dataclasses.asdict(now.config)
    options = old.pop("model_config") or {}, new.pop("model_config") or {}
    old |= {name: new[name] for name in MAY_CHANGE}
    for was, given in (options, (old, new)):
        for name in was:
            if was[name] != given.get(name):
                return f"with {option(name)} {format_value(was[name])}, not {format_value(given.get(name))}"
    return None


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
    _check_values(config, {name: hint for name, hint in option_types(RunConfig).items() if name != "model_config"})
    options = config.model_config
    if options is None and custom:
        return
    # Exactly: the further options of a subclass could not be read.
    if type(options) is not family.config:
        raise InputError(
            f"model_config must be {'None or ' if custom else ''}a {family.name} Config, got {shortened(options)}"
        )
    _check_values(options, option_types(family.config))


def _check_values(options: Any, types: Mapping[str, Any]) -> None:
    """Refuse values that JSON would not give back."""
    for name, hint in types.items():
        value = getattr(options, name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"{option(name)} must be finite, got {format_value(value)}")
        if not fits(value, hint):
            kind = hint.__name__ if isinstance(hint, type) else hint
            raise InputError(f"{option(name)} must be of the Python type {kind}, got {shortened(value)}")


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
            raise InputError(f"the option '{name}' cannot be {shortened(content[name])}")
        values[name] = value
    return values


def custom_model_message(folder: Path) -> str:
    """Return the sentence for a run whose model the command line cannot build."""
    return (
        f"{folder} was trained from Python with modules or functions of its own, which a run folder does not store: "
        "build the same model in Python and call jaxgen.load_run(folder, model=model)"
    )


def option(name: str) -> str:
    """Return a field of a config as the option of the command line.

    Example:
        >>> option("batch_size")
        '--batch-size'
    """
    return f"--{name.replace('_', '-')}"


def format_value(value: Any) -> str:
    """Return a value as it is typed on the command line.

    Example:
        >>> format_value((64, 32)), format_value(()), format_value(0.5)
        ('64 32', '(none)', '0.5')
    """
    return " ".join(map(str, value)) or "(none)" if isinstance(value, tuple) else str(value)


def _family(path: Path, name: str, family: Family | None, *, custom: bool) -> Family | None:
    """The family of a run; None for a custom model of an unknown one."""
    if family is not None and family.name != name:
        raise InputError(f"{path.parent} holds a run of the model '{name}', not '{family.name}'")
    known = family or REGISTRY.get(name)
    if known is None and not custom:
        raise InputError(
            f"{path} is of the family '{name}', which is not part of jaxgen: give the file or module that defines it, "
            "as --family on the command line, or load_run(folder, family=...)"
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
        raise InputError(f"the option 'model_config' cannot be {shortened(options)}")
    with family_errors(family):
        return RunConfig(model_config=family.config(**fields_from(family.config, options)), **outer)
