"""References of `jaxgen/losses/latent.py`: norms of NumPy, Jacobians of PyTorch's autograd, entropies of SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats
import torch

from jaxgen import losses
from tests.contract import Case, real, uniform

SHAPES = [(4,), (3, 5), (2, 3, 2)]
FEW, MANY = 2, 9
WEIGHTS = {
    (size, units): np.random.default_rng(units).normal(size=(size, units)) / np.sqrt(size)
    for size in (4, 6)
    for units in (1, FEW, MANY)
}


def encoder(units, library):
    """Return a tanh layer, the same in JAX and in PyTorch."""

    def encode(x):
        flat = x.reshape(len(x), -1)
        weights = WEIGHTS[flat.shape[1], units]
        if library is torch:
            return torch.tanh(flat @ torch.as_tensor(weights, dtype=flat.dtype))
        return jnp.tanh(flat @ jnp.asarray(weights, flat.dtype))

    return encode


def jacobian_norm_by_torch(units):
    def norm(x):
        rows = [
            torch.autograd.functional.jacobian(encoder(units, torch), torch.as_tensor(example)[None]) for example in x
        ]
        return np.array([float((row**2).sum()) for row in rows])

    return norm


CASES = [
    Case(
        "losses.l1_latent",
        losses.l1_latent,
        {"latent": real()},
        SHAPES,
        {"NumPy": lambda x: np.linalg.norm(x.reshape(len(x), -1), 1, axis=1)},
        finite_at=[([[0.0, 1.0]],)],
    ),
    Case(
        "losses.l2_latent",
        losses.l2_latent,
        {"latent": real()},
        SHAPES,
        {"NumPy": lambda x: np.linalg.norm(x.reshape(len(x), -1), axis=1) ** 2},
        finite_at=[([[0.0, 1.0]],)],
    ),
    *(
        Case(
            "losses.contractive_penalty",
            functools.partial(losses.contractive_penalty, encoder(units, jnp)),
            {"x": uniform(-1.0, 1.0)},
            [(3, 4), (2, 3, 2)],
            {"PyTorch": jacobian_norm_by_torch(units)},
            rtol_bfloat16=0.05,  # the encoder itself computes in bfloat16
            finite_at=[(np.zeros((1, 4)),)],
            label=f"{units} units",
        )
        for units in (FEW, MANY)
    ),
    Case(
        "losses.contractive_penalty_estimate",
        functools.partial(losses.contractive_penalty_estimate, jax.random.key(0), encoder(1, jnp)),
        {"x": uniform(-1.0, 1.0)},
        [(3, 4), (2, 3, 2)],
        {"PyTorch": jacobian_norm_by_torch(1)},  # for one unit the estimate is exact with either sign
        rtol_bfloat16=0.05,
        finite_at=[(np.zeros((1, 4)),)],
    ),
    *(
        Case(
            "losses.sparsity_penalty",
            functools.partial(losses.sparsity_penalty, rho=rho),
            {"activations": uniform(2**-6, 1 - 2**-6)},
            SHAPES,
            {
                "SciPy": lambda a, rho=rho: (
                    scipy.special.rel_entr(rho, a.mean(0)) + scipy.special.rel_entr(1 - rho, 1 - a.mean(0))
                ).sum(),
                "PyTorch": lambda a, rho=rho: (
                    torch.distributions.kl_divergence(
                        torch.distributions.Bernoulli(torch.tensor(rho, dtype=torch.float64)),
                        torch.distributions.Bernoulli(torch.as_tensor(a.mean(0))),
                    )
                    .sum()
                    .numpy()
                ),
            },
            floor=1e-9,  # float64 cancels below
            finite_at=[([[rho, 1.0, 0.0], [rho, 0.0, 1.0]],)],
            label=f"rho={rho}",
        )
        for rho in (0.05, 0.5)
    ),
]
