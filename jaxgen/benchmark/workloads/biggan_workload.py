"""BigGAN (Brock, Donahue & Simonyan 2019, arXiv:1809.11096), with the average of the generator and its statistics."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import jax

from jaxgen.benchmark.workloads.classifier_workload import CLASSES, labelled_noise
from jaxgen.benchmark.workloads.workload import Workload
from jaxgen.game import State
from jaxgen.models.biggan import build
from jaxgen.models.biggan_pair import make_networks
from jaxgen.models.presets import PRESETS
from jaxgen.typing import Array, KeyArray

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin

SHAPE = (28, 28, 1)


def biggan(name: str, *, steps: int, width: int = 8, batch_size: int = 64) -> Workload:
    """Return the workload of the preset `biggan-28`, with another width too."""
    preset: Any = PRESETS["biggan-28"].config
    config = replace(preset, width=width)
    latent_dim = make_networks(config, SHAPE, CLASSES).latent_dim

    def inputs(key: KeyArray, n: int) -> tuple[Array, ...]:
        """The noise as `jaxgen.models.biggan` draws it."""
        latent_key, label_key = jax.random.split(key)
        return jax.random.normal(latent_key, (n, latent_dim)), jax.random.randint(label_key, (n,), 0, CLASSES)

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_biggan import biggan

        return biggan(config, latent_dim, CLASSES, state, compiled=compiled)

    return Workload(
        name=name,
        build=partial(build, config),
        data=partial(labelled_noise, SHAPE),
        batch_size=batch_size,
        noise=dict.fromkeys(("discriminator", "generator", "average/generator"), inputs),
        twin=twin,
        scaled=partial(biggan, name, steps=steps),
        convolutional=True,
        steps=steps,
        comparable_steps=0,
    )
