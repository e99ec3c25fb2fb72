"""The fully connected autoencoder 784-400-20, on images of the size of MNIST's."""

from functools import partial
from typing import TYPE_CHECKING

from jaxgen.benchmark.workloads.noise_images import noise_images
from jaxgen.benchmark.workloads.workload import Workload
from jaxgen.game import State
from jaxgen.models.autoencoder import Config, build

if TYPE_CHECKING:
    from jaxgen.benchmark.pytorch.twin import Twin


def mlp_autoencoder(*, width: int = 400, batch_size: int = 128) -> Workload:
    """Return the workload with one hidden layer in the encoder and one in the decoder."""
    config = Config(architecture="mlp", hidden=(width,), latent_dim=20, learning_rate=1e-3)

    def twin(state: State, *, compiled: bool) -> "Twin":
        from jaxgen.benchmark.pytorch.torch_autoencoder import mlp_autoencoder

        return mlp_autoencoder(config, state.params, compiled=compiled)

    return Workload(
        name="MLP AE",
        build=partial(build, config),
        data=partial(noise_images, (28, 28, 1), examples=10_000),
        batch_size=batch_size,
        twin=twin,
        scaled=mlp_autoencoder,
        steps=300,
        compile_is_faster=True,
    )
