"""Preparation of a training: everything that can be wrong is found before the first step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgen.analysis.feature_metrics import FEATURE_METRICS, NUMBERS, check_metrics, name_for
from jaxgen.callbacks.best_state import PREFIX as VALIDATION
from jaxgen.callbacks.sample_metrics import MODE_METRICS, has_modes
from jaxgen.callbacks.sample_metrics import PREFIX as SAMPLES
from jaxgen.data import SYNTHETIC, Augmentation, Stream, count_examples, example, fingerprint, subset
from jaxgen.data.sources import Notify, print_to_stderr
from jaxgen.data.validation_split import split_validation
from jaxgen.errors import InputError, check_known
from jaxgen.game import Model
from jaxgen.metrics.extractors import Extractor, default_extractor, load_extractor
from jaxgen.models import PRESETS, REGISTRY, Family, build_model, family_errors
from jaxgen.models.dependences import without_effect
from jaxgen.models.family import check_name
from jaxgen.models.mixed_precision import in_mixed_precision
from jaxgen.models.optimizer import OptimizerConfig
from jaxgen.models.rematerialized_model import rematerialized
from jaxgen.models.standardization import Standardization, standardization_of, standardized
from jaxgen.paths import expand_path
from jaxgen.runs.config import RunConfig, with_absolute_paths
from jaxgen.runs.config_changes import check_unchanged
from jaxgen.runs.config_json import RunDescription, check_options, read_config, to_json
from jaxgen.runs.evaluation import better_of, load_test_split
from jaxgen.training.augmented_model import augmented
from jaxgen.training.loop import check_batch_size
from jaxgen.training.phases import stages
from jaxgen.training.seeds import Better
from jaxgen.typing import Batch, KeyArray

STANDARDIZED = (
    "the model is trained on points with mean 0 and standard deviation 1 in each column; samples have the unit of the "
    "data, losses and metrics of examples are those of the standardized points"
)
"""Notice for points of the user."""


REMATERIALIZED = ("progressive", "stylegan", "stylegan2", "biggan")
"""Families of the package whose networks have blocks that are rematerialized."""


class Prepared(NamedTuple):
    """A training that can start.

    Attributes:
        folder: run folder.
        family: family of the model.
        description: content of its `config.json`.
        model: model of the run, with which it is evaluated.
        data: training examples.
        population: the examples of which the training has a subset, which metrics of samples compare with; the training
            examples where there is no subset.
        validation: validation examples; None where none are set aside.
        test: test split; None where the model has no metrics of examples.
        fingerprint: what identifies the data; None for points of known densities, which are drawn anew and may differ
            by rounding between machines.
        extractor: extractor of the metrics of features that are logged; None where none are.
    """

    folder: Path
    family: Family
    description: RunDescription
    model: Model
    data: Batch | Stream
    population: Batch | Stream
    validation: Batch | Stream | None
    test: Batch | Stream | None
    fingerprint: Any
    extractor: Extractor | None = None

    @property
    def config(self) -> RunConfig[Any]:
        """Config of the run; the number of steps and the batch size are known."""
        return self.description.config

    @property
    def trained_model(self) -> Model:
        """The model with what the config changes in its steps: precision, rematerialization and augmentation."""
        model = in_mixed_precision(self.model) if self.config.precision == "bfloat16" else self.model
        model = rematerialized(model) if self.config.rematerialize else model
        return model if self.config.augmentation == Augmentation() else augmented(model, self.config.augmentation)

    @property
    def inputs(self) -> dict[str, Any]:
        """What is stored beside every state, to find changed files when a run is used."""
        return {"run": to_json(self.description), "data": self.fingerprint}


def prepare_run(
    folder: str | Path,
    family: str | Family,
    config: RunConfig[Any],
    *,
    model: Model | None = None,
    resume: bool = False,
    preset: str | None = None,
    variants: Sequence[RunConfig[Any]] = (),
    notify: Notify = print_to_stderr,
) -> Prepared:
    """Check the options, load the data and build the model; nothing is trained or written.

    Args:
        folder: run folder.
        family: family of the model, or its name if it is part of the package.
        config: everything else that determines the run.
        model: model in place of the one that the family builds from the config.
        resume: whether the folder has a run, with which everything must agree.
        preset: name of the preset from which the model's options were taken.
        variants: configs of the same sweep; an option needs an effect for one of them.
        notify: called with notices for the user.

    Returns:
        The training.

    Raises:
        InputError: if an option is wrong, the data cannot be loaded, or the model does not fit them.
    """
    folder, config, family = expand_path(folder), with_absolute_paths(config), _family(family)
    check_options(family, config, custom=model is not None)
    before = read_config(folder, family=family) if resume else None
    if before is not None and before.imported is not None:
        raise InputError(
            f"{folder} has imported weights and no optimizer states, so it cannot be resumed: train a new run from its "
            f"weights by --init-from {folder}"
        )
    open_split = config.source.splits()
    data, class_names, read = open_split("train")
    if read:
        notify(read)
    shown = example(data)
    preset = preset if before is None else before.preset
    if before is not None:
        config = config.with_numbers_of(before.config)
    # The last classes of a data set may have no training examples.
    class_names = class_names[: int(shown["label"].max()) + 1] if "label" in shown else ()
    description = RunDescription(family.name, config, shown, model is not None, preset, class_names)
    if before is not None:
        check_unchanged(before, description, folder)
    config.augmentation.check(shown)
    model = model or _built(family, description)
    found = fingerprint(data) if config.data not in SYNTHETIC else None
    trained, population, validation = divided(data, config)
    config = config.completed(count_examples(trained), model.slices, jax.device_count())
    by = before.standardization if before is not None else _standardization(config.data, trained)
    description = description._replace(config=config, standardization=by)
    if by is not None:
        model = standardized(model, by)
        notify(STANDARDIZED)
    check_batch_size(model, trained, config.update_size)
    extractor = _extractor(config, model, shown)
    _check_selection(config, model, shown, extractor)
    if before is None:
        _check_effects(description, variants)
    if config.patience is not None and config.patience >= evaluations(config):
        notify(
            f"the training has {evaluations(config)} evaluations and cannot end early with a patience of "
            f"{config.patience}: evaluate more often"
        )
    if model.phases and (last := stages(model, config.steps)[-1].phase) is not model.phases[-1]:
        before_last = sum(phase.steps or 0 for phase in model.phases)
        notify(
            f"the training ends in the phase '{last.name}': it has {config.steps:,} steps, and the last phase, "
            f"'{model.phases[-1].name}', begins after {before_last:,}"
        )
    # What is wrong with the test split should be known before the training, not after it.
    test = load_test_split(config, shown, open_split) if model.evaluate is not None else None
    return Prepared(folder, family, description, model, trained, population, validation, test, found, extractor)


class Divided(NamedTuple):
    """The parts of a training split.

    Attributes:
        data: examples of the training.
        population: the examples of which these are a subset; the same where there is no subset.
        validation: validation examples; None where none are set aside.
    """

    data: Batch | Stream
    population: Batch | Stream
    validation: Batch | Stream | None


def divided(data: Batch | Stream, config: RunConfig[Any]) -> Divided:
    """Return the parts of a training split that a run uses.

    Args:
        data: the split.
        config: config of the run.

    Returns:
        The parts.

    Raises:
        InputError: if a part would have no examples.

    Example:
        >>> import numpy as np
        >>> config = RunConfig(None, subset=4, validation_fraction=0.2)
        >>> parts = divided({"point": np.arange(20.0).reshape(10, 2)}, config)
        >>> [count_examples(part) for part in parts if part is not None]
        [4, 8, 2]
    """
    population, validation = data, None
    if config.validation_fraction is not None:
        population, validation = split_validation(data, config.validation_fraction)
    trained = population if config.subset is None else subset(population, config.subset)
    return Divided(trained, population, validation)


class Selection(NamedTuple):
    """What chooses the best state of a training.

    Attributes:
        metric: name of the metric in the log.
        better: which of its values are better; None where that is not known.
    """

    metric: str
    better: Better | None


DIRECTIONS: dict[str, Better] = {"max": "larger", "min": "smaller"}
"""What may stand before the name of a metric, with a colon between them -> which of its values are better."""


def selection(keep_best: str) -> Selection:
    """Return what chooses the best state of a training.

    Args:
        keep_best: option of a config.

    Returns:
        The name of the metric with its prefix, and the direction that the option gives, or else the known one.

    Example:
        >>> selection("elbo"), selection("min:samples/modes").better
        (Selection(metric='validation/elbo', better='larger'), 'smaller')
    """
    direction, _, name = keep_best.partition(":")
    if direction not in DIRECTIONS:
        direction, name = "", keep_best
    metric = name if name.startswith((SAMPLES, VALIDATION)) else VALIDATION + name
    return Selection(metric, DIRECTIONS.get(direction, better_of(metric.partition("/")[2])))


def evaluations(config: RunConfig[Any]) -> int:
    """Return how often the metric by which the best state is chosen is computed in a training.

    Args:
        config: complete config with `keep_best`.

    Returns:
        The number.

    Example:
        >>> evaluations(RunConfig(None, steps=5000, image_every=1000, keep_best="samples/modes"))
        5
    """
    metric = selection(config.keep_best or "").metric
    every: int | None = config.image_every if metric.startswith(SAMPLES) else config.evaluate_every
    if metric.removeprefix(SAMPLES) in NUMBERS:
        every = config.metric_every or config.image_every
    return -(-config.steps // max(every or 1, config.chunk))


def _check_effects(description: RunDescription, variants: Sequence[RunConfig[Any]]) -> None:
    """Refuse options that are given for a new training and have no effect on it."""
    config, family = description.config, description.family
    if config.metric_samples != RunConfig.metric_samples and not config.metrics:
        raise InputError("metric_samples applies to metrics of features: give metrics, e.g. fid")
    if config.rematerialize and family in REGISTRY and family not in REMATERIALIZED:
        raise InputError(f"rematerialize applies to {', '.join(REMATERIALIZED)}: leave it out")
    options = config.model_config
    if description.custom or not isinstance(options, OptimizerConfig):
        return
    presets = [preset.config for preset in PRESETS.values() if preset.family == family]
    configs: list[OptimizerConfig] = [each.model_config for each in variants or (config,)]
    found = [without_effect(each, each.dependences(description.example), presets) for each in configs]
    for name, sentence in found[0].items():
        if all(name in others for others in found):
            raise InputError(sentence)


def _extractor(config: RunConfig[Any], model: Model, shown: Batch) -> Extractor | None:
    """The extractor of the metrics of features that a training logs; None where it logs none."""
    if not config.metrics:
        for name in ("metric_every", "extractor"):
            if getattr(config, name) is not None:
                raise InputError(f"{name} applies to metrics of features: give metrics, e.g. fid")
        return None
    check_metrics(config.metrics, examples=config.metric_samples, held_out=False, labels=False)
    if model.sample is None or "image" not in shown:
        raise InputError(f"metrics of features are of samples of images, and '{config.data}' or the model has none")
    extractor = load_extractor(config.extractor or default_extractor(config.data))
    extractor.check((config.metric_samples, *shown["image"].shape[1:]))
    return extractor


def _check_selection(config: RunConfig[Any], model: Model, shown: Batch, extractor: Extractor | None) -> None:
    """Check the options that choose among the states of a training."""
    if config.validation_fraction is not None and model.evaluate is None:
        raise InputError("validation_fraction applies to models with metrics of examples, and this one has none")
    if config.evaluate_every is not None and config.validation_fraction is None:
        raise InputError("evaluate_every applies to validation examples: give a validation_fraction, e.g. 0.1")
    if config.keep_best is None:
        if config.patience is not None:
            raise InputError("patience counts evaluations of the metric of keep_best: give one, e.g. keep_best='elbo'")
        return
    metric, better = selection(config.keep_best)
    modes = MODE_METRICS if has_modes(config.data, shown) else ()
    known = [f"{SAMPLES}{name}" for name in ("sliced_wasserstein", *modes)] if model.sample is not None else []
    if extractor is not None:
        numbers = [number for name in config.metrics for number in FEATURE_METRICS[name].numbers]
        known += [SAMPLES + name_for(number, extractor.name) for number in numbers]
    if model.evaluate is not None and config.validation_fraction is not None:
        state = jax.eval_shape(model.init, jax.random.key(0), shown)
        known += [VALIDATION + name for name in jax.eval_shape(model.evaluate, jax.random.key(0), state, shown)]
    elif not metric.startswith(SAMPLES):
        raise InputError(
            f"keep_best='{config.keep_best}' needs validation examples: give a validation_fraction, e.g. 0.1"
        )
    check_known("metric", metric, known)
    if better is None:
        raise InputError(
            f"keep_best must say whether larger or smaller values of '{config.keep_best}' are better: give "
            f"max:{config.keep_best} or min:{config.keep_best}"
        )


def _family(family: str | Family) -> Family:
    if isinstance(family, Family):
        check_name(family.name)
        if REGISTRY.get(family.name, family) != family:
            raise InputError(f"the name of a family must not be that of another family of jaxgen, got '{family.name}'")
        return family
    check_known("model", family, REGISTRY)
    return REGISTRY[family]


def _standardization(name: str, data: Batch | Stream) -> Standardization | None:
    """How training examples that are points are standardized; None for images, and for densities that are known."""
    if isinstance(data, Stream) or "point" not in data or name in SYNTHETIC:
        return None
    return standardization_of(data["point"])


def _built(family: Family, description: RunDescription) -> Model:
    """The model of a family; where it is from outside the package, its errors are raised here, before the training."""
    model = build_model(family, description.config.model_config, description.example)
    if family.name not in REGISTRY:
        with family_errors(family):
            _trace(model, description.config, description.example)
    return model


def _trace(model: Model, config: RunConfig[Any], example_batch: Batch) -> None:
    """Call the functions that a training calls, for shapes alone."""

    def call(key: KeyArray, example: Batch) -> None:
        state = model.init(key, example_batch)
        for stage in stages(model, config.steps):
            phase = stage.phase
            batch = _repeated(example, phase.slices * (phase.batch_size or config.update_size))
            # A loop, as in the training: the step must return a state of the same shapes.
            state = jax.lax.fori_loop(
                0, 1, lambda _, state, phase=phase, x=batch: phase.step(key, state, phase.preprocess(x))[0], state
            )
        batch = _repeated(example, config.update_size)
        results = {
            name: function(state, batch)
            for name in ("encode", "reconstruct", "predict")
            if (function := getattr(model, name)) is not None
        }
        if model.evaluate is not None:
            results |= {f"metric {name}": values for name, values in model.evaluate(key, state, batch).items()}
        if model.sample is not None:
            results["sample"] = model.sample(key, state, config.update_size)
        for name, result in results.items():
            if jnp.shape(result)[:1] != (config.update_size,):
                raise ValueError(
                    f"{name} must have a leading axis of {config.update_size} examples, got shape {jnp.shape(result)}"
                )

    jax.eval_shape(call, jax.random.key(0), example_batch)


def _repeated(example: Batch, size: int) -> Batch:
    """A batch of copies of the first example."""
    return {name: jnp.repeat(jnp.asarray(array)[:1], size, axis=0) for name, array in example.items()}
