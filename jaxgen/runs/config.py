"""The config of a run: everything that determines it, beside the family of the model; and its words in messages."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from jaxgen.data import DATASETS, Augmentation, DataSource
from jaxgen.data.sources import is_path
from jaxgen.errors import InputError, shortened
from jaxgen.models.family import describe_type, fits, option_types
from jaxgen.paths import expand_path
from jaxgen.training.seeds import seed_keys
from jaxgen.typing import Array, Key

ModelConfig = TypeVar("ModelConfig")

COUNTS = (
    "steps",
    "batch_size",
    "log_every",
    "checkpoint_every",
    "evaluate_every",
    "image_every",
    "image_size",
    "seeds",
    "subset",
    "patience",
    "metric_every",
    "metric_samples",
)
"""Options that are numbers of something, at least 1."""

NO_DATA = "unknown"
"""Name of the data of a run whose data are not known, as of imported weights."""

MAX_LENGTH = 256
"""Largest number of values of an option: a network of thousands of layers is not compiled within a day."""

BATCH_SIZE = 128
"""Default number of examples in one update, where the data have enough."""

EVALUATIONS = 20
"""Default number of evaluations of the validation examples."""


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
        batch_size: number of examples in one update of a player; by default that of the preset, or else 128, or fewer
            where the data are few.
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
        rematerialize: compute the features within blocks of layers again in the backward pass instead of storing them,
            for progressive, stylegan, stylegan2 and biggan: fewer stored features for more operations. --dry-run --cost
            shows what that changes; on CPUs the memory hardly falls.
        subset: number of training examples, drawn at random, the same for all seeds; metrics of samples still compare
            with all of them. By default all.
        validation_fraction: share of the training examples of each class that are set aside and evaluated during the
            training; by default none.
        evaluate_every: number of steps between two evaluations of the validation examples; by default a twentieth of
            the training.
        keep_best: metric by which the best state is kept beside the newest ones, one of validation examples such as
            elbo, or of samples such as samples/modes; max:NAME or min:NAME for a metric of a family of your own, of
            which the largest or the smallest value is best; by default the newest ones only are kept.
        patience: number of evaluations without a better value of keep_best after which the training ends; by default it
            does not end early.
        metrics: metrics of the features of samples that are logged in training, e.g. fid kid precision_recall; by
            default none.
        metric_every: number of steps between two measurements of them, by default image_every; a multiple of log_every
            to have them exactly there.
        metric_samples: number of samples that they are measured on.
        extractor: network whose features they compare; by default the one that was trained for the data.
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
    rematerialize: bool = False
    subset: int | None = None
    validation_fraction: float | None = None
    evaluate_every: int | None = None
    keep_best: str | None = None
    patience: int | None = None
    metrics: tuple[str, ...] = ()
    metric_every: int | None = None
    metric_samples: int = 1000
    extractor: str | None = None
    init_from: str | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_values(self, _types_of_run())
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None and not 1 <= value < 2**31:
                raise InputError(f"{option(name)} must be {'at least 1' if value < 1 else 'below 2^31'}, got {value}")
        if self.epochs is not None and not 0 < self.epochs < 2**31:
            raise InputError(f"--epochs must be above 0 and below 2^31, got {self.epochs}")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"--seed must be between 0 and {2**31 - 1}, got {self.seed}")

    @property
    def source(self) -> DataSource:
        """The data set; an InputError if it is not known."""
        check_known_data(self)
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


def check_known_data(config: RunConfig[Any]) -> None:
    """Check that the data of a run are known, where they are needed.

    Args:
        config: config of the run.

    Raises:
        InputError: if they are not.

    Example:
        >>> check_known_data(RunConfig(None, data=NO_DATA))
        Traceback (most recent call last):
        jaxgen.errors.InputError: data must be named, got 'unknown', as for weights that were imported without them: ...
    """
    if config.data == NO_DATA:
        raise InputError(
            f"data must be named, got '{NO_DATA}', as for weights that were imported without them: import the weights "
            "again with --data NAME, or give --data to a new training"
        )


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


def custom_model_message(folder: Path) -> str:
    """Return the sentence for a run whose model the command line cannot build."""
    return (
        f"{folder} was trained from Python with modules or functions of its own, which a run folder does not store: "
        "build the same model in Python and call jaxgen.load_run(folder, model=model)"
    )


@cache
def _types_of_run() -> dict[str, Any]:
    """The types of the options of every run."""
    return {name: hint for name, hint in option_types(RunConfig).items() if name != "model_config"}


def check_values(options: Any, types: Mapping[str, Any]) -> None:
    """Refuse values that JSON would not give back."""
    for name, hint in types.items():
        value = getattr(options, name)
        check_length(option(name), value)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"{option(name)} must be finite, got {format_value(value)}")
        if not fits(value, hint):
            kind = f"of the Python type {hint.__name__ if isinstance(hint, type) else hint}"
            right = describe_type(hint) if typing.get_origin(hint) is Literal else kind
            raise InputError(f"{option(name)} must be {right}, got {shortened(value)}")


def check_length(name: str, value: Any) -> None:
    """Refuse more values of an option than a file should have."""
    if isinstance(value, tuple) and len(value) > MAX_LENGTH:
        raise InputError(f"{name} must have at most {MAX_LENGTH} values, got {len(value)}")
