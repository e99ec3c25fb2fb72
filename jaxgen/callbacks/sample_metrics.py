"""Samples judged while a model is trained, by numbers that no player minimizes."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgen.data import STACKED, SYNTHETIC, Stream, batch_indices, count_examples, take
from jaxgen.divergences import sliced_wasserstein
from jaxgen.game import Model, State
from jaxgen.models.preprocessing import preprocess
from jaxgen.runs.config import RunConfig
from jaxgen.runs.sample_metrics import POINTS, mode_metrics, stacked_metrics
from jaxgen.training.loop import Chunk, run_keys
from jaxgen.training.seeds import over_seeds
from jaxgen.typing import Array, Batch, KeyArray, Metrics

PREFIX = "samples/"
"""Of the names that these numbers have in the log."""

COMPARED = 1000
"""Samples, and examples of the data, between which the distance is taken."""

READ = 10_000
"""Stacked digits of which the classes are read: of 1,000 classes, all but the last one or two can be found in them."""


class SampleMetrics:
    """A hook of `fit` that hands chunks on to another, the log, and adds to some of them what the samples are worth.

    It judges whenever pictures are drawn and at the end, every seed for itself:

        samples/sliced_wasserstein    distance between 1000 samples and as many training examples; of pictures, in
                                      values of pixels from 0 to 1
        samples/modes, samples/high_quality, samples/mode_kl    of 2500 samples, on a mixture; see `mode_metrics`; of
                                      10,000 that a classifier reads, of stacked digits; see `stacked_metrics`

    Noise, examples and projections are the same each time, so that two numbers differ by what was learned between them,
    and a run that was killed and resumed has the same numbers as one that never stopped.

    Args:
        log: the hook that is given the chunks.
        model: what is trained.
        config: of the run.
        data: of the training.

    Example:
        >>> from jaxgen.data import load
        >>> from jaxgen.models import gan
        >>> ring = load("ring", examples=100)
        >>> model, config = gan.build(gan.Config(), ring), RunConfig(model_config=gan.Config(), data="ring", steps=10)
        >>> chunk = Chunk(10, model.init(jax.random.key(0), ring), {"generator/loss": np.zeros(10)}, 0.1, {})
        >>> SampleMetrics(lambda chunk: print(*chunk.metrics), model, config, ring)(chunk)
        generator/loss samples/high_quality samples/mode_kl samples/modes samples/sliced_wasserstein
    """

    def __init__(
        self, log: Callable[[Chunk], None], model: Model, config: RunConfig[Any], data: Batch | Stream
    ) -> None:
        self.log = log
        self.every, self.last = config.image_every, config.steps
        self.several = config.seeds is not None
        judging = run_keys(jax.random.key(config.seed)).judging
        self.sample_key, self.reading_key, self.projections, examples_key = jax.random.split(judging, 4)
        self.examples = preprocess(some_examples(examples_key, data, COMPARED))
        self.read_from = config if config.data in STACKED else None
        mixture = SYNTHETIC[config.data]() if config.data in SYNTHETIC else None
        has_modes = mixture is not None and mixture.centers is not None
        count = POINTS if has_modes else len(self.examples)

        def draw(key: KeyArray, state: State) -> tuple[Array, Metrics]:
            samples = model.sample(key, state, count)
            return samples[: len(self.examples)], {} if mixture is None else mode_metrics(samples, mixture)

        def draw_all(key: KeyArray, states: State) -> tuple[Array, Metrics]:
            return over_seeds(partial(draw, key))(states) if self.several else draw(key, states)

        self.draw = jax.jit(draw_all)

    def __call__(self, chunk: Chunk) -> None:
        """Log the chunk, judged if it is time to."""
        if chunk.passes(self.every) or chunk.step == self.last:
            numbers = {
                PREFIX + name: np.asarray(value)[..., None] for name, value in self.discriminate(chunk.state).items()
            }
            chunk = chunk._replace(metrics=chunk.metrics | numbers)
        self.log(chunk)

    def discriminate(self, state: State) -> Metrics:
        """The numbers of a state, one for each run."""
        samples, metrics = self.draw(self.sample_key, state)
        # One by one, and not in one program with the network: what is compiled once then serves all runs on these data.
        runs = samples if self.several else samples[None]
        distances = jnp.stack([sliced_wasserstein(self.projections, x, self.examples) for x in runs])
        found = {"sliced_wasserstein": distances}
        if self.read_from is not None:
            found |= stacked_metrics(self.read_from, self._parts(state))
        return {**metrics, **(found if self.several else {name: of_run[0] for name, of_run in found.items()})}

    def _parts(self, state: State) -> Iterator[Array]:
        """Samples to be read, with an axis of runs."""
        for first in range(0, READ, len(self.examples)):
            samples, _ = self.draw(jax.random.fold_in(self.reading_key, first), state)
            yield samples if self.several else samples[None]


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
