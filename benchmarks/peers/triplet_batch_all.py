"""Loss of all triplets of a batch, together with its gradient, since it is minimized."""

import jax
import numpy as np
import torch

from jaxgen import losses
from jaxgen.typing import Array
from peers.comparison import JAXGEN, Comparison, by_jax, by_torch

DIMENSIONS, EXAMPLES_PER_LABEL, MARGIN = 64, 4, 1.0


def inputs(examples: int) -> tuple[np.ndarray, ...]:
    embeddings = np.random.default_rng(0).standard_normal((examples, DIMENSIONS), dtype=np.float32)
    return embeddings, np.arange(examples) // EXAMPLES_PER_LABEL


def of_jaxgen(embeddings: Array, labels: Array) -> tuple[Array, Array]:
    def loss(embeddings: Array) -> Array:
        return losses.triplet_batch_all(embeddings, labels, margin=MARGIN)[0]

    return jax.value_and_grad(loss)(embeddings)


def of_all_triplets(embeddings: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Form every triplet of examples, and mask those that are not an anchor, a positive and a negative."""
    embeddings = embeddings.clone().requires_grad_()
    distances = torch.cdist(embeddings, embeddings)
    same = labels[:, None] == labels
    positive = same & ~torch.eye(len(labels), dtype=torch.bool)
    excess = distances[:, :, None] - distances[:, None, :] + MARGIN
    excess = torch.relu(excess * (positive[:, :, None] & ~same[:, None, :]))
    loss = excess.sum() / (excess > 0).sum().clamp(min=1)
    loss.backward()
    return loss.detach(), embeddings.grad


COMPARISON = Comparison(
    name="triplet_batch_all",
    growing=f"examples, {EXAMPLES_PER_LABEL} per label",
    sizes=[128, 256, 512],
    inputs=inputs,
    sides={JAXGEN: by_jax(of_jaxgen), "PyTorch n^3": by_torch(of_all_triplets)},
    tolerance=1e-4,
)
