"""Statistics that are recomputed for given parameters, against those of NumPy over all inputs."""

import jax
import numpy as np

from jaxgen.models.networks import init_network, standing_statistics
from jaxgen.nn.mlp import MLP


def test_standing_statistics_are_the_mean_over_batches_of_mean_and_variance_of_the_hidden_layer():
    network = MLP(hidden=(4,), shape=(2,), normalization="batch")
    batches = np.random.default_rng(0).normal(3.0, 2.0, (7, 40, 3)).astype(np.float32)
    variables = init_network(network, jax.random.key(0), batches[0])
    kernel = np.asarray(variables["params"]["Dense_0"]["kernel"], np.float64)
    hidden = batches @ kernel
    [found] = standing_statistics(jax.random.key(1), network, variables, batches)["batch_stats"].values()
    np.testing.assert_allclose(found["mean"], hidden.mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(found["var"], hidden.var(axis=1).mean(axis=0), rtol=1e-5)


def test_standing_statistics_leave_parameters_and_networks_without_statistics_as_they_are():
    network = MLP(hidden=(4,), shape=(2,))
    inputs = np.ones((3, 5, 3), np.float32)
    variables = init_network(network, jax.random.key(0), inputs[0])
    assert standing_statistics(jax.random.key(1), network, variables, inputs) == variables
