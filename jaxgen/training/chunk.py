"""What the training loop reports between two compiled chunks: metrics, where a run diverged, and their summaries."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from jaxgen.game import Player, State
from jaxgen.training.seeds import rounded


class Divergence(NamedTuple):
    """The first value of a run that was not finite.

    Attributes:
        step: number of the step, counted from 1.
        player: name of the player whose loss or gradient was not finite; empty for parameters.
        quantity: `loss` or `gradient_norm`, of a regularizer with its name before it, or `parameters`.
    """

    step: int
    player: str
    quantity: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        if not self.player:
            return f"the {self.quantity} are not finite at step {self.step}"
        return f"the {self.quantity.replace('_', ' ')} of player '{self.player}' is not finite at step {self.step}"


class Chunk(NamedTuple):
    """What a callback receives between two compiled chunks.

    Attributes:
        step: number of completed steps.
        state: state after these steps. Its buffers are donated to the next chunk: copy what must last.
        metrics: metric name -> values at the steps of the chunk, `[steps]`, or `[seeds, steps]` for several keys.
            Values of regularizers are masked at the steps without them. Metrics that earlier callbacks have returned
            have fewer values, those of the last steps.
        seconds: wall-clock time of the chunk, without compilation.
        diverged: number of the seed -> where it diverged.
    """

    step: int
    state: State
    metrics: dict[str, np.ndarray]
    seconds: float
    diverged: Mapping[int, Divergence]

    def __repr__(self) -> str:
        """Return the chunk in one line, without its arrays."""
        diverged = f", diverged: {sorted(self.diverged)}" if self.diverged else ""
        return f"Chunk(step {self.step}, {self.steps} steps{diverged}, {describe_chunk(self)})"

    @property
    def steps(self) -> int:
        """Number of steps in the chunk."""
        return next(iter(self.metrics.values())).shape[-1]

    def reaches(self, every: int) -> bool:
        """Return whether the chunk reaches or passes a multiple of `every`, at which something is due."""
        return self.step // every > (self.step - self.steps) // every

    @property
    def newly_diverged(self) -> dict[int, Divergence]:
        """The seeds that diverged in this chunk."""
        return {seed: where for seed, where in self.diverged.items() if where.step > self.step - self.steps}


class Unfinished(NamedTuple):
    """The steps of a chunk that was interrupted before its callbacks were called.

    Attributes:
        metrics: metric name -> values at these steps, `[seeds, steps]`, also for a single key; empty for no steps.
        seconds: wall-clock time of these steps.
    """

    metrics: dict[str, np.ndarray]
    seconds: float

    @property
    def steps(self) -> int:
        """Number of these steps."""
        return next(iter(self.metrics.values())).shape[-1] if self.metrics else 0


Callback = Callable[[Chunk], Mapping[str, np.ndarray] | None]
"""Called after every chunk. Metrics that it returns are added to the chunk for the callbacks after it."""


def find_divergence(
    metrics: Mapping[str, np.ndarray], players: Iterable[Player], first_step: int
) -> dict[int, Divergence]:
    """Find the first loss or gradient that is not finite, in every seed.

    Args:
        metrics: metric name -> value at every step, `[steps]` or `[seeds, steps]`; masked values are not considered.
        players: the players in the order of their updates: a value that is not finite spreads to the players after it.
        first_step: number of steps before these.

    Returns:
        Number of the seed -> where it diverged.

    Example:
        >>> find_divergence({"vae/loss": np.array([1.0, np.nan])}, [Player("vae", (), None, None)], 100)
        {0: Divergence(step=102, player='vae', quantity='loss')}
    """
    found: dict[int, Divergence] = {}
    for player in players:
        for prefix in ("", *(f"{regularizer.name}/" for regularizer in player.regularizers)):
            for quantity in (f"{prefix}loss", f"{prefix}gradient_norm"):
                values = np.ma.filled(metrics.get(f"{player.name}/{quantity}", np.zeros(1)), 0.0)
                for seed, of_seed in enumerate(np.atleast_2d(values)):
                    bad = np.flatnonzero(~np.isfinite(of_seed))
                    if len(bad) and (seed not in found or first_step + bad[0] + 1 < found[seed].step):
                        found[seed] = Divergence(first_step + int(bad[0]) + 1, player.name, quantity.replace("/", " "))
    return found


def find_non_finite_parameters(state: State) -> dict[int, Divergence]:
    """Find the seeds of which a parameter is not finite, e.g. because an update overflowed whose gradient did not.

    Args:
        state: state with a leading axis of seeds.

    Returns:
        Number of the seed -> where this was found.

    Example:
        >>> state = State(np.int32(9), {"net": np.array([[0.0, 1.0], [np.nan, 1.0]])}, {}, {}, {})
        >>> print(*find_non_finite_parameters(state).items())
        (1, Divergence(step=9, player='', quantity='parameters'))
    """
    leaves = jax.tree.leaves((state.params, state.ema))
    finite = [np.isfinite(np.asarray(x)).reshape(len(x), -1).all(axis=1) for x in leaves if np.ndim(x)]
    seeds = np.flatnonzero(~np.all(finite, axis=0)) if finite else ()
    return {int(seed): Divergence(int(state.step), "", "parameters") for seed in seeds}


def describe_chunk(chunk: Chunk) -> str:
    """Return the mean loss of every player in a chunk, over the seeds that have not diverged, as one line.

    Args:
        chunk: chunk of one seed or of several.

    Returns:
        Names and losses, `-` for a loss that is not finite.

    Example:
        >>> describe_chunk(Chunk(50, None, {"vae/loss": np.array([8.0, 6.0])}, seconds=0.5, diverged={}))
        'vae 7'
    """
    losses = {
        name.removesuffix("/loss"): mean_over_seeds(values, chunk.diverged)
        for name, values in chunk.metrics.items()
        if name.endswith("/loss") and not np.ma.getmaskarray(values).all()
    }
    shown = "  ".join(f"{name} {'-' if loss is None else f'{loss:.4g}'}" for name, loss in losses.items())
    return f"{shown}  ({len(chunk.diverged)} diverged)" if chunk.diverged else shown


def mean_over_steps(values: np.ndarray, diverged: Iterable[int] = ()) -> list[float | None]:
    """Return the mean of a metric over the steps of a chunk for each seed; None where it diverged or is not finite.

    Args:
        values: `[steps]` or `[seeds, steps]`, possibly masked.
        diverged: numbers of the seeds that have diverged.

    Returns:
        One mean for each seed.

    Example:
        >>> mean_over_steps(np.array([[4.0, 2.0], [np.inf, 8.0]]))
        [3.0, None]
    """
    with np.errstate(invalid="ignore"):  # inf - inf
        means = np.ma.filled(np.ma.mean(np.ma.atleast_2d(values), axis=-1, dtype=np.float64), np.nan)
    return [None if seed in diverged else rounded(mean) for seed, mean in enumerate(means)]


def mean_over_seeds(values: np.ndarray, diverged: Iterable[int] = ()) -> float | None:
    """Return the mean of a metric over the steps of a chunk and the seeds with a finite mean; None without any.

    Args:
        values: `[steps]` or `[seeds, steps]`, possibly masked.
        diverged: numbers of the seeds that have diverged.

    Returns:
        The mean.

    Example:
        >>> mean_over_seeds(np.array([[4.0, 2.0], [9.0, 8.0]]))
        5.75
    """
    means = [mean for mean in mean_over_steps(values, diverged) if mean is not None]
    return rounded(float(np.mean(means))) if means else None


def format_duration(seconds: float) -> str:
    """Return a duration as minutes and seconds, with hours where there are any.

    Example:
        >>> format_duration(75), format_duration(3661)
        ('1:15', '1:01:01')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def mask_skipped(metrics: dict[str, np.ndarray], players: Sequence[Player], steps: range) -> dict[str, np.ndarray]:
    """Return the metrics with those of regularizers masked at the steps that did not compute them.

    Args:
        metrics: metric name -> `[seeds, steps]`.
        players: the players with their regularizers.
        steps: the steps.

    Returns:
        Metric name -> values, masked arrays where a step was skipped.

    Example:
        >>> from jaxgen.game import Regularizer
        >>> player = Player("d", (), None, None, regularizers=(Regularizer("r1", None, every=2),))
        >>> print(mask_skipped({"d/r1/loss": np.array([[4.0, np.nan]])}, [player], range(2))["d/r1/loss"])
        [[4.0 --]]
    """
    every = {f"{player.name}/{term.name}/": term.every for player in players for term in player.regularizers}
    result = dict(metrics)
    for prefix, interval in every.items():
        skipped = np.array([step % interval != 0 for step in steps])
        for name in metrics:
            if name.startswith(prefix) and skipped.any():
                result[name] = np.ma.array(metrics[name], mask=np.broadcast_to(skipped, metrics[name].shape))
    return result


def assemble_history(
    chunks: Sequence[tuple[int, Mapping[str, np.ndarray]]], first_step: int, steps: int, seeds: int
) -> dict[str, np.ma.MaskedArray]:
    """Return the metrics of all chunks as one array each, masked where a step has no value.

    Args:
        chunks: number of completed steps and metrics `[seeds, steps]` of each chunk.
        first_step: number of steps before the first chunk.
        steps: number of steps in all.
        seeds: number of seeds.

    Returns:
        Metric name -> `[seeds, steps - first_step]`.

    Example:
        >>> chunks = [(2, {"d/loss": np.ones((1, 2))})]
        >>> print(assemble_history(chunks, 0, 3, 1)["d/loss"])
        [[1.0 1.0 --]]
    """
    history: dict[str, np.ma.MaskedArray] = {}
    for step, metrics in chunks:
        for name, values in metrics.items():
            whole = history.setdefault(name, np.ma.masked_all((seeds, steps - first_step), values.dtype))
            stop = step - first_step
            count = min(values.shape[-1], stop)  # The first chunk may have steps of before an interruption.
            whole[:, stop - count : stop] = values[..., values.shape[-1] - count :]
    return history
