"""A trained run, ready for use: two lines load it and sample from it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgen._arrays import check_integers, check_key
from jaxgen._signatures import checked
from jaxgen.batch_checks import check_like
from jaxgen.callbacks.checkpoints import diverged_from_json
from jaxgen.data.large_arrays import LARGEST_BATCH, join_parts, map_batches, part_size, sample_parts
from jaxgen.errors import InputError
from jaxgen.game import Model, State
from jaxgen.memory import bytes_of, check_memory, memory_errors
from jaxgen.models import REGISTRY, Family, build_model, family_errors
from jaxgen.models.checked_model import check_truncation
from jaxgen.models.labels import check_labels
from jaxgen.models.new_styles import every_layer_sampler
from jaxgen.models.standardization import Standardization, standardized
from jaxgen.paths import expand_path
from jaxgen.runs.config import RunConfig, custom_model_message
from jaxgen.runs.config_changes import check_trained_with
from jaxgen.runs.config_json import RunDescription, read_config
from jaxgen.training.checkpoint import restore
from jaxgen.training.chunk import Divergence, find_non_finite_parameters
from jaxgen.training.leaves import batch_shapes, describe_sizes
from jaxgen.training.seeds import add_seed_axis, first_finite, over_seeds, select_seed
from jaxgen.training.states import abstract_state as abstract_states
from jaxgen.typing import AnyArray, Array, Batch, Float, KeyArray, PyTree, Shaped


class Run(NamedTuple):
    """A trained model.

    Attributes:
        folder: folder of the run.
        family: name of the model's family.
        config: config of the run.
        example: smallest batch that shows the shapes of its data.
        model: the model's functions.
        state: newest state, with a leading axis of seeds, of one for a single run.
        step: number of steps that the state has completed.
        diverged: number of the seed -> where it diverged, which includes all whose parameters are not finite.
        skipped: why newer checkpoints could not be used.
        preset: name of the preset from which the model's options were taken; None if there was none.
        class_names: name of each class in order of the labels; empty where they have none.
        standardization: how points of the user are standardized within the model; None where they are not.
        custom: whether the model was built in Python with modules or functions of its own.
        imported: program that wrote the weights of the run; None for a run that was trained in its folder.
    """

    folder: Path
    family: str
    config: RunConfig[Any]
    example: Batch
    model: Model
    state: State
    step: int
    diverged: Mapping[int, Divergence]
    skipped: tuple[str, ...]
    preset: str | None = None
    class_names: tuple[str, ...] = ()
    standardization: Standardization | None = None
    custom: bool = False
    imported: str | None = None

    @property
    def description(self) -> RunDescription:
        """The content of its `config.json`."""
        return RunDescription(
            self.family,
            self.config,
            self.example,
            self.custom,
            self.preset,
            self.class_names,
            self.standardization,
            self.imported,
        )

    def __repr__(self) -> str:
        """Return what identifies the run in one line, without its arrays."""
        seeds = "" if self.config.seeds is None else f", {self.config.seeds} seeds"
        diverged = f", diverged: {sorted(self.diverged)}" if self.diverged else ""
        sizes = describe_sizes(getattr(self.state, "params", None), seeds=self.config.seeds or 1)
        return f"Run({self.name} on {self.config.data}, step {self.step}{seeds}{diverged}, {sizes}, in '{self.folder}')"

    @memory_errors("give a smaller number of samples")
    def sample(self, key: KeyArray, n: int, *, every_layer: bool = False, **conditions: Any) -> Array:
        """Sample new examples.

        Args:
            key: PRNG key of the samples.
            n: number of samples.
            every_layer: whether each layer of a generator with styles has a style of its own (W+); by default all have
                the same (W).
            **conditions: conditions of the model, e.g. `label`, one for all or `n` of them; and options of its latents,
                e.g. `truncation=0.5`.

        Returns:
            `[n, *event]`; `[seeds, n, *event]` for a run of several seeds. Images have 0 for black and 1 for white.
            Where the decoder has no bounds, as in an autoencoder or with a Gaussian likelihood, values may lie a little
            outside.

        Raises:
            InputError: if n is not positive, the model does not sample, has no such condition or no styles, or there is
                too little memory.
        """
        parts = self._parts(key, n, conditions, every_layer=every_layer, together=True)
        return join_parts(map(self._squeezed, parts), count=n, axis=self._axis)

    def sample_parts(
        self, key: KeyArray, n: int, *, every_layer: bool = False, **conditions: Any
    ) -> Iterator[Shaped[Array, "seeds part *event"]]:
        """Sample part by part, for numbers of samples that need much memory.

        Args:
            key: PRNG key of the samples.
            n: number of samples.
            every_layer: as of `sample`.
            **conditions: as of `sample`.

        Yields:
            The next of the samples that `sample` returns, always with an axis of seeds.

        Raises:
            InputError: if n is not positive, or the model does not sample or has no such condition or no styles.
        """
        return self._parts(key, n, conditions, every_layer=every_layer, together=False)

    def encode(self, batch: Batch) -> Array:
        """Encode examples.

        Args:
            batch: any number of examples.

        Returns:
            Latents `[n, latent_dim]`, or `[seeds, n, latent_dim]` for a run of several seeds.

        Raises:
            InputError: if the model has no encoder, or `check_like` refuses the batch.
        """
        if self.model.encode is None:
            raise InputError(f"the model '{self.family}' has no encoder, so it has no latents of examples")
        check_like(self.example, batch)
        self._check_labels(batch.get("label"))
        return self._apply(self.model.encode, batch)

    def decode(self, latents: Float[AnyArray, "n latent_dim"], **conditions: Any) -> Array:
        """Decode latents.

        Args:
            latents: any number of latents, `[n, latent_dim]`.
            **conditions: conditions of the decoder, e.g. `label`, one for all or one for each.

        Returns:
            `[n, *event]`, or `[seeds, n, *event]` for a run of several seeds.

        Raises:
            InputError: if the model has no decoder, or no such condition.
        """
        if self.model.decode is None:
            raise InputError(f"the model '{self.family}' has no decoder")
        n = _count(latents)
        self._check_conditions(n, conditions)
        given = {name: np.broadcast_to(value, (n,)) for name, value in conditions.items()}
        return self._apply(_decoded_with(self.model.decode), (latents, given))

    def predict(self, batch: Batch) -> Array:
        """Classify examples.

        Args:
            batch: any number of examples.

        Returns:
            Logits `[n, classes]`, or `[seeds, n, classes]` for a run of several seeds.

        Raises:
            InputError: if the model is not a classifier, or `check_like` refuses the batch.
        """
        if self.model.predict is None:
            raise InputError(f"the model '{self.family}' does not classify")
        check_like(self.example, batch)
        return self._apply(self.model.predict, batch)

    def reconstruct(self, batch: Batch, **conditions: Any) -> Array:
        """Encode and decode examples, optionally with other conditions than their own.

        Args:
            batch: any number of examples.
            **conditions: conditions of the decoder in place of those of the batch, e.g. another `label`, one for all or
                one for each.

        Returns:
            `[n, *event]`, or `[seeds, n, *event]` for a run of several seeds.

        Raises:
            InputError: if the model has no encoder or no such condition, or `check_like` refuses the batch.
        """
        encode, decode, reconstruct = self.model.encode, self.model.decode, self.model.reconstruct
        if reconstruct is None:
            raise InputError(f"the model '{self.family}' has no encoder or no decoder, so it cannot reconstruct")
        check_like(self.example, batch)
        n = _count(batch)
        self._check_labels(batch.get("label"))
        self._check_conditions(n, conditions)
        if not conditions:
            return self._apply(reconstruct, batch)
        if encode is None or decode is None:
            raise InputError(f"the model '{self.family}' has no encoder or no decoder to use with other conditions")
        given = {name: np.broadcast_to(value, (n,)) for name, value in conditions.items()}
        return self._apply(_with_conditions(encode, decode), (batch, given))

    def restyle(self, batch: Batch) -> Array:
        """Transfer the style of every example to every class: the same latent, decoded with each label.

        Args:
            batch: any number of examples.

        Returns:
            `[n, classes, *event]`, or `[seeds, n, classes, *event]` for a run of several seeds.

        Raises:
            InputError: if the model has no encoder, or is not conditioned on labels.

        Reference:
            Kingma et al. 2014, arXiv:1406.5298, figure 1b.
        """
        check_like(self.example, batch)
        n, classes = _count(batch), self.classes
        check_memory(f"{n} examples for each of {classes} classes", bytes_of(batch) * classes, "give fewer examples")
        repeated = {name: np.repeat(array, classes, axis=0) for name, array in batch.items()}
        styles = self.reconstruct(repeated, label=np.tile(np.arange(classes), n))
        seeds = () if self.config.seeds is None else (self.config.seeds,)
        return styles.reshape(*seeds, n, classes, *styles.shape[len(seeds) + 1 :])

    @property
    def name(self) -> str:
        """Name of the model in titles: the preset from which its options were taken, or else the family."""
        return self.preset or self.family

    @property
    def classes(self) -> int:
        """Number of classes in the data, 1 where they have no labels."""
        return int(self.example["label"].max()) + 1 if "label" in self.example else 1

    @property
    def finite(self) -> list[int]:
        """Numbers of the seeds that have not diverged."""
        return [i for i in range(self.config.seeds or 1) if i not in self.diverged]

    def seed_title(self, number: int) -> str:
        """Return the title of a figure of one of several seeds, counted from 0; empty for a run of a single seed."""
        return "" if self.config.seeds is None else f"seed {self.config.seed + number}"

    @property
    def first_finite(self) -> int:
        """Number of the first seed that has not diverged, the one to draw where only one can be drawn."""
        return first_finite(self.config.seeds or 1, self.diverged)

    def _parts(
        self, key: KeyArray, n: int, conditions: Mapping[str, Any], *, every_layer: bool, together: bool
    ) -> Iterator[Shaped[Array, "seeds part *event"]]:
        """The parts of samples, which need memory together or one after the other."""
        if self.model.sample is None:
            raise InputError(f"the model '{self.family}' does not sample")
        if every_layer and self.model.styles is None:
            raise InputError(
                f"every_layer must be left out: the model '{self.family}' has no styles of layers, which stylegan and "
                "stylegan2 have"
            )
        check_key(key)
        check_integers(n=n)
        if n < 1:
            raise InputError(f"the number of samples must be at least 1, got {n}")
        if "truncation" in conditions:
            check_truncation(self.model, conditions["truncation"])
        self._check_conditions(n, {k: x for k, x in conditions.items() if k not in self.model.latent_options})
        size = part_size(n, self.classes, largest=LARGEST_BATCH)
        each = {name: np.asarray(value) for name, value in conditions.items() if np.ndim(value)}
        sample = every_layer_sampler(self.model) if every_layer else self.model.sample
        _check_sample_memory(sample, self.state, n if together else size, size, conditions, each)

        def parts() -> Iterator[Array]:
            for part in sample_parts(key, n, size):
                given = {name: values[part.first : part.first + size] for name, values in each.items()}
                yield _sampled(sample, part.size, self.state, part.key, {**conditions, **given})

        return parts()

    def _apply(self, function: Callable[[State, Any], Array], examples: Any) -> Array:
        """Apply a function of one seed's state and of examples, for every seed and in batches that fit into memory."""
        n = _count(examples)
        size = min(n, LARGEST_BATCH)
        shape = jax.eval_shape(partial(_applied, function), self.state, batch_shapes(examples, size))
        _check_joined_memory(f"the results for {n} examples", shape, n, size, "give fewer examples")

        def of_batch(batch: Any) -> Array:
            return self._squeezed(_applied(function, self.state, batch))

        return map_batches(of_batch, examples, axis=self._axis)

    @property
    def _axis(self) -> int:
        """Axis of the examples in what methods return."""
        return 0 if self.config.seeds is None else 1

    def _squeezed(self, values: Array) -> Array:
        """Without the axis of seeds for a single run."""
        return values[0] if self.config.seeds is None else values

    def _check_conditions(self, n: int, conditions: Mapping[str, Any]) -> None:
        if unknown := set(conditions) - set(self.model.conditions):
            raise InputError(f"the model '{self.family}' cannot be conditioned on {', '.join(sorted(unknown))}")
        for name, value in conditions.items():
            if np.shape(value) not in ((), (n,)):
                raise InputError(f"give one {name} or {n} for {n} examples, got {name}s of shape {np.shape(value)}")
        self._check_labels(conditions.get("label"))

    def _check_labels(self, label: Any) -> None:
        """Refuse labels outside the range, which compiled functions cannot."""
        if label is None or "label" not in self.model.conditions:
            return
        check_labels(label, self.classes)


@checked
def load_run(
    folder: str | Path, *, family: Family | None = None, model: Model | None = None, best: bool = False
) -> Run:
    """Load the newest complete checkpoint of a run folder; the data set is not needed.

    Args:
        folder: folder of the run.
        family: family of the run, where it is not part of the package.
        model: model of the run, where it was built in Python with modules or functions of its own.
        best: whether to load the best state by the metric of the run's `keep_best` in place of the newest one.

    Returns:
        The run.

    Raises:
        InputError: if this is not a run folder, its family or model is not known, no checkpoint is complete, or no seed
            has finite parameters.

    Example:
        >>> import tempfile
        >>> from jaxgen.runs.config_json import RunDescription, write_config
        >>> from jaxgen.training.checkpoint import save
        >>> from jaxgen.training.states import initial_state
        >>> family, example_batch = REGISTRY["gan"], {"point": np.zeros((1, 2), np.float32)}
        >>> config = RunConfig(family.config(hidden=(4,)), data="ring")
        >>> model = family.build(config.model_config, example_batch)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_config(Path(folder), RunDescription("gan", config, example_batch))
        ...     save(Path(folder) / "checkpoints", 0, initial_state(model, config.keys, example_batch))
        ...     load_run(folder).step
        0
    """
    folder = expand_path(folder)
    description = read_config(folder, family=family)
    if model is None:
        if description.custom:
            raise InputError(custom_model_message(folder))
        family = family or REGISTRY[description.family]
        model = build_model(family, description.config.model_config, description.example)
        with family_errors(family):
            state = abstract_state(model, description.config, description.example)
    else:
        state = abstract_state(model, description.config, description.example)
    if best and description.config.keep_best is None:
        raise InputError(f"{folder} keeps no best state: train with keep_best, e.g. --keep-best elbo")
    states = folder / ("best" if best else "checkpoints")
    restored = restore(states, state)
    check_trained_with(restored.meta.get("run"), description, states / str(restored.step), family=family)
    if description.standardization is not None:
        model = standardized(model, description.standardization)
    diverged = {**find_non_finite_parameters(restored.state), **diverged_from_json(restored.meta)}
    if len(diverged) == (description.config.seeds or 1):
        raise InputError(
            f"the parameters of {folder} at step {restored.step} must be finite, got NaN or infinity"
            f"{' in every seed' if description.config.seeds else ''}: train it again with a smaller learning rate"
        )
    return Run(
        folder=folder,
        family=description.family,
        config=description.config,
        example=description.example,
        model=model,
        state=restored.state,
        step=restored.step,
        diverged=diverged,
        skipped=tuple(map(str, restored.skipped)),
        preset=description.preset,
        class_names=description.class_names,
        standardization=description.standardization,
        custom=description.custom,
        imported=description.imported,
    )


def single(run: Run, number: int) -> Run:
    """Return one seed of a run as a run of a single seed.

    Args:
        run: run of one seed or of several.
        number: number of the seed, counted from 0.

    Returns:
        The run as if this seed had been trained alone; its state has a leading axis of one seed.
    """
    if run.config.seeds is None:
        return run
    config = dataclasses.replace(run.config, seeds=None, seed=run.config.seed + number)
    return run._replace(config=config, state=_only_seed(run.state, number), diverged={})


def abstract_state(model: Model, config: RunConfig[Any], example: Batch) -> State:
    """Return the shapes and types of a run's state; nothing is computed.

    Args:
        model: model of the run.
        config: config of the run.
        example: smallest batch that shows the shapes of its data.

    Returns:
        A state of shapes, with a leading axis of seeds on all but the step.

    Example:
        >>> family, example_batch = REGISTRY["gan"], {"point": np.zeros((1, 2), np.float32)}
        >>> model = family.build(family.config(), example_batch)
        >>> abstract_state(model, RunConfig(model_config=None, seeds=3), example_batch).step
        ShapeDtypeStruct(shape=(), dtype=int32)
    """
    return abstract_states(model, config.keys, example)


# These compiled functions serve all runs of one model, and all batches of the same size: a function that is defined
# anew at each call would be compiled at each call.


@jax.jit
def _only_seed(state: State, number: int) -> State:
    return add_seed_axis(select_seed(state, number))


@partial(jax.jit, static_argnums=(0, 1))
def _sampled(sample: Callable[..., Array], n: int, state: State, key: KeyArray, conditions: Mapping[str, Any]) -> Array:
    """New examples of every seed, `[seeds, n, *event]`."""
    return over_seeds(lambda seed: sample(key, seed, n, **conditions))(state)


def _check_sample_memory(
    sample: Callable[..., Array],
    state: State,
    n: int,
    size: int,
    conditions: Mapping[str, Any],
    each: Mapping[str, np.ndarray],
) -> None:
    """Refuse samples that do not fit into memory, before any is computed."""
    part = {name: value[:size] for name, value in each.items()}
    # The trace is that of the first batch.
    batch = jax.eval_shape(partial(_sampled, sample, size), state, jax.random.key(0), {**conditions, **part})
    _check_joined_memory(f"{n} samples" if n > 1 else "a sample", batch, n, size, "give a smaller number of samples")


def _check_joined_memory(what: str, part: PyTree, n: int, size: int, advice: str) -> None:
    """Refuse n results that do not fit into memory beside a part of them, of the shapes of `size` results."""
    needed = bytes_of(part) * n // size + (bytes_of(part) if n > size else 0)
    check_memory(what, needed, advice)


@partial(jax.jit, static_argnums=0)
def _applied(function: Callable[[State, Any], Array], state: State, examples: Any) -> Array:
    """A function of one seed's state and of examples, for every seed."""
    return over_seeds(lambda seed: function(seed, examples))(state)


@cache
def _with_conditions(encode: Callable[[State, Batch], Array], decode: Callable[..., Array]) -> Callable[..., Array]:
    """Encode, and decode with other conditions; for the same two functions it is the same function."""

    def restyled(state: State, part: tuple[Batch, Mapping[str, Array]]) -> Array:
        batch, given = part
        return decode(state, encode(state, batch), **given)

    return restyled


@cache
def _decoded_with(decode: Callable[..., Array]) -> Callable[..., Array]:
    """Decode latents with conditions; for the same function it is the same function."""

    def decoded(state: State, part: tuple[Array, Mapping[str, Array]]) -> Array:
        latents, given = part
        return decode(state, latents, **given)

    return decoded


def _count(examples: Any) -> int:
    """The number of examples, at least one."""
    sizes = {len(array) for array in jax.tree.leaves(examples)}
    if len(sizes) != 1 or sizes == {0}:
        raise InputError(f"a batch must hold arrays of the same number of examples, at least 1, got {sorted(sizes)}")
    return sizes.pop()
