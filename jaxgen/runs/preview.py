"""What a training would be, without training: the complete options, the data, and the parameters of every network."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jaxgen.data import count_examples, describe
from jaxgen.memory import bytes_of
from jaxgen.runs.loading import abstract_state
from jaxgen.runs.preparation import Prepared
from jaxgen.training.leaves import named_leaves
from jaxgen.training.phases import check_steps, stages


class PhasePreview(NamedTuple):
    """A phase that a training would have.

    Attributes:
        name: name of the phase.
        steps: number of its steps.
        batch_size: number of examples in one update of a player.
    """

    name: str
    steps: int
    batch_size: int


class Preview(NamedTuple):
    """A training that could be started.

    Attributes:
        options: name of an option -> its value, of the training and then of the model; None where an option does not
            apply.
        data: name of an array -> shape and dtype of an example.
        examples: number of training examples.
        shapes: network name -> name of a parameter array -> its shape, for one seed.
        state_bytes: bytes of parameters, statistics, optimizers and averages of all seeds.
        phases: the phases of a training that has several, with the number of steps and the batch size of each.
    """

    options: Mapping[str, Any]
    data: Mapping[str, Any]
    examples: int
    shapes: Mapping[str, Mapping[str, tuple[int, ...]]]
    state_bytes: int
    phases: Sequence[PhasePreview] = ()

    @property
    def parameters(self) -> dict[str, int]:
        """Network name -> its number of parameters, for one seed."""
        return {name: sum(map(math.prod, arrays.values())) for name, arrays in self.shapes.items()}


def preview(prepared: Prepared) -> Preview:
    """Determine the options and the shapes of a training; nothing is computed or written.

    Args:
        prepared: a training that could start, whose options and data have been checked.

    Returns:
        What would be trained.

    Raises:
        InputError: if the step of a phase does not accept the batches.

    Example:
        >>> from jaxgen.models import REGISTRY
        >>> from jaxgen.runs import RunConfig
        >>> from jaxgen.runs.preparation import prepare_run
        >>> config = RunConfig(REGISTRY["vae"].config(hidden=(8,), latent_dim=2))
        >>> found = preview(prepare_run("unused", "vae", config))
        >>> found.parameters, found.shapes["encoder"]["Dense_0/kernel"], found.options["batch_size"]
        ({'decoder': 600, 'encoder': 556}, (64, 8), 128)
    """
    config, shown, family = prepared.config, prepared.description.example, prepared.family
    complete = config.model_config if family.complete is None else family.complete(config.model_config, shown)
    state = abstract_state(prepared.model, config, shown)
    reached = stages(prepared.trained_model, config.steps)
    check_steps(reached, state, config.update_size, shown)
    of_training = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    del of_training["model_config"]
    return Preview(
        options=of_training | {field.name: getattr(complete, field.name) for field in dataclasses.fields(complete)},
        data=describe(shown),
        examples=count_examples(prepared.data),
        shapes={
            # Without the leading axis of seeds.
            network: {name: leaf.shape[1:] for name, leaf in named_leaves(arrays).items()}
            for network, arrays in state.params.items()
        },
        state_bytes=bytes_of(state),
        phases=[
            PhasePreview(stage.phase.name, len(stage.steps), stage.phase.batch_size or config.update_size)
            for stage in (reached if prepared.model.phases else ())
        ],
    )
