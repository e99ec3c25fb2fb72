"""Train and save the VAE of `end_to_end.py` with pythae 0.1.2, whose environment has no jaxgen.

python pythae_vae.py FOLDER_OF_MNIST OUT EPOCHS BATCH_SIZE
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import torch
from pythae.models import VAE, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.pipelines import TrainingPipeline
from pythae.trainers import BaseTrainerConfig
from torch import nn

PIXELS, HIDDEN, LATENT = 784, 400, 20


class Encoder(BaseEncoder):
    """784-400, and 20 means and 20 logarithms of variances."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, HIDDEN), nn.ReLU())
        self.mean = nn.Linear(HIDDEN, LATENT)
        self.log_var = nn.Linear(HIDDEN, LATENT)

    def forward(self, x: torch.Tensor) -> ModelOutput:
        """Return the mean and the logarithm of the variance of each example."""
        hidden = self.hidden(x)
        return ModelOutput(embedding=self.mean(hidden), log_covariance=self.log_var(hidden))


class Decoder(BaseDecoder):
    """20-400-784, with values in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid()
        self.layers = nn.Sequential(*layers, nn.Unflatten(1, (1, 28, 28)))

    def forward(self, z: torch.Tensor) -> ModelOutput:
        """Return an image for each latent."""
        return ModelOutput(reconstruction=self.layers(z))


def main() -> None:
    source, out, epochs, batch_size = sys.argv[1:]
    with gzip.open(Path(source) / "train-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28).astype(np.float32) / 255
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    training = BaseTrainerConfig(
        output_dir=out,
        num_epochs=int(epochs),
        per_device_train_batch_size=int(batch_size),
        learning_rate=1e-3,
        no_cuda=True,
    )
    TrainingPipeline(model=VAE(config, encoder=Encoder(), decoder=Decoder()), training_config=training)(images)


if __name__ == "__main__":
    main()
