"""Samples judged while a model is trained, by numbers that no player minimizes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data import SYNTHETIC, Stream, batch_indices, count_examples, take
from jaxgen.divergences import sliced_wasserstein
from jaxgen.game import Model, State
from jaxgen.models.observation import observed
from jaxgen.run.samples import POINTS, mode_metrics
from jaxgen.run.settings import Settings
from jaxgen.training.loop import Chunk
from jaxgen.training.seeds import over_seeds
from jaxgen.typing import Array, Batch, KeyArray, Metrics

PREFIX = "samples/"
"""Of the names that these numbers have in the log."""

COMPARED = 1000
"""Samples, and examples of the data, between which the distance is taken."""


class Judged:
    """A hook of `fit` that hands chunks on to another, the log, and adds to some of them what the samples are worth.

    It judges whenever pictures are drawn and at the end, every seed for itself:

        samples/sliced_wasserstein    distance between 1000 samples and as many training examples; of pictures, in
                                      values of pixels from 0 to 1
        samples/modes, samples/high_quality, samples/mode_kl    of 2500 samples, on a mixture; see `mode_metrics`

    Noise, examples and projections are the same each time, so that two numbers differ by what was learned between them,
    and a run that was killed and resumed has the same numbers as one that never stopped.

    Args:
        log: the hook that is given the chunks.
        model: what is trained.
        settings: of the run.
        data: of the training.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import gan
        >>> ring = load("ring", examples=100)
        >>> model, settings = gan.build(gan.Config(), ring), Settings(config=gan.Config(), data="ring", steps=10)
        >>> chunk = Chunk(10, model.init(jax.random.key(0), ring), {"generator/loss": np.zeros(10)}, 0.1, {})
        >>> Judged(lambda chunk: print(*chunk.metrics), model, settings, ring)(chunk)
        generator/loss samples/high_quality samples/mode_kl samples/modes samples/sliced_wasserstein
    """

    def __init__(
        self, log: Callable[[Chunk], None], model: Model, settings: Settings[Any], data: Batch | Stream
    ) -> None:
        self.log = log
        self.every, self.last = settings.picture_every, settings.steps
        self.several = settings.seeds is not None
        key = jax.random.key(settings.seed)
        sample_key, self.projections = jax.random.split(key)
        self.examples = observed(some_examples(key, data, COMPARED))
        mixture = SYNTHETIC[settings.data]() if settings.data in SYNTHETIC else None
        has_modes = mixture is not None and mixture.centers is not None
        count = POINTS if has_modes else len(self.examples)

        def draw(state: State) -> tuple[Array, Metrics]:
            samples = model.sample(sample_key, state, count)
            return samples[: len(self.examples)], {} if mixture is None else mode_metrics(samples, mixture)

        self.draw = jax.jit(over_seeds(draw) if self.several else draw)

    def __call__(self, chunk: Chunk) -> None:
        """Log the chunk, judged if it is time to."""
        if chunk.passes(self.every) or chunk.step == self.last:
            numbers = {PREFIX + name: np.asarray(value)[..., None] for name, value in self.judge(chunk.state).items()}
            chunk = chunk._replace(metrics=chunk.metrics | numbers)
        self.log(chunk)

    def judge(self, state: State) -> Metrics:
        """The numbers of a state, one for each run."""
        samples, metrics = self.draw(state)
        # One by one, and not in one program with the network: what is compiled once then serves all runs on these data.
        runs = samples if self.several else samples[None]
        distances = jnp.stack([sliced_wasserstein(self.projections, x, self.examples) for x in runs])
        return {**metrics, "sliced_wasserstein": distances if self.several else distances[0]}


def some_examples(key: KeyArray, data: Batch | Stream, count: int) -> Batch:
    """Examples drawn without replacement, or all in any order where there are fewer; those of a stream are the same.

    The first ones would not do: data that come in folders are ordered by class.

    Example:
        >>> drawn = some_examples(jax.random.key(0), {"label": np.repeat(np.arange(2), 500)}, 100)["label"]
        >>> len(drawn), sorted(set(drawn.tolist()))
        (100, [0, 1])
    """
    examples = count_examples(data)
    count = min(count, examples)
    if isinstance(data, Stream):
        return next(iter(data.batches(key, 0, 1, batch_size=count)))
    return take(data, batch_indices(key, 0, examples=examples, batch_size=count))
