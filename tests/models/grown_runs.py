"""A short training through all phases of a family that grows, by seeds in one program, and parts of it resumed."""

from typing import Any

import jax
import numpy as np

from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.training import fit
from jaxgen.training.seeds import seed_keys, select_seed

RNG = np.random.default_rng(0)
DATA = {"image": RNG.integers(0, 256, (12, 8, 8, 1), np.uint8), "label": np.arange(12, dtype=np.int32) % 3}
STEPS = 14

SMALL: dict[str, Any] = {
    "base": 16,
    "largest": 4,
    "latent_dim": 3,
    "group": 2,
    "start": 4,
    "stabilize": 12,
    "fade": 36,
    "batch_sizes": (4,),
}
"""Options of phases of 4 and 8 steps, and a last one."""


class Complete:
    """A training without a pause, and its states after every two steps."""

    def __init__(self, model, seeds):
        self.model, self.keys, self.states = model, seed_keys(3, seeds), {}
        assert [(phase.name, phase.steps) for phase in model.phases] == [
            ("stable at 4", 4),
            ("fading in 8", 8),
            ("stable at 8", None),
        ]
        with convolutions_by_xla():  # As the tests of the families, which compile it again.
            fit(model, DATA, key=self.keys, steps=STEPS, batch_size=4, chunk=2, callbacks=[self._save])

    def _save(self, chunk):
        self.states[chunk.step] = jax.device_get(chunk.state)

    @convolutions_by_xla()
    def resumed(self, first, last):
        """The state after steps that follow those of a stored state."""
        options = {"steps": last, "batch_size": 4, "chunk": 2, "state": self.states[first], "first_step": first}
        return fit(self.model, DATA, key=self.keys, **options).state

    def assert_same(self, state, step):
        jax.tree.map(np.testing.assert_array_equal, state, self.states[step])

    @convolutions_by_xla()
    def assert_equal_to_single_run(self, first, last):
        """Up to the rounding of other programs, from a stored state on."""
        options = {"steps": last, "batch_size": 4, "state": select_seed(self.states[first], 1), "first_step": first}
        single = fit(self.model, DATA, key=self.keys[1], **options).state
        several = select_seed(self.states[last], 1)
        for (path, x), y in zip(jax.tree.leaves_with_path(single.params), jax.tree.leaves(several.params), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5, err_msg=str(path))
