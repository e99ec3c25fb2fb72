"""References of `jaxgen/losses/penalties.py`: gradient norms by PyTorch's autograd, of one critic for both libraries.

Points between an example and itself, or without noise, are deterministic; random points are tested in
`losses/test_penalties.py`.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import torch

from jaxgen import losses
from tests.contract import Case, real

KEY = jax.random.key(3)
SHAPES = [(3, 2), (2, 2, 3)]
ROUNDED_CRITIC = 0.05  # the critic itself computes in bfloat16


def critic(x):
    """Return `sum_k k sin(x_k)` for an example with the values x_1, x_2, ...."""
    flat = x.reshape(len(x), -1)
    number = np.arange(1.0, flat.shape[1] + 1)
    if isinstance(x, torch.Tensor):
        return (torch.as_tensor(number, dtype=x.dtype) * torch.sin(flat)).sum(1)
    return (jnp.asarray(number, x.dtype) * jnp.sin(flat)).sum(1)


def gradient_norm(x):
    """Return the gradient norm at each example."""
    x = torch.as_tensor(x).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(x).sum(), x)
    return torch.linalg.vector_norm(gradient.reshape(len(x), -1), dim=1).numpy()


def squared_excess(kernel, *, diagonal):
    """Return the sum of squares of `W W' - I`, or of its elements off the diagonal."""
    rows = kernel.reshape(-1, kernel.shape[-1]).T
    products = rows @ rows.T
    return np.sum((products - np.diag(np.ones(len(rows)) if diagonal else np.diag(products))) ** 2)


CASES = [
    *(
        Case(
            "losses.gradient_penalty",
            lambda x, options=options: losses.gradient_penalty(KEY, critic, x, x, **options),
            {"x": real()},
            SHAPES,
            {"PyTorch": reference},
            floor=1e-3,
            rtol_bfloat16=ROUNDED_CRITIC,
            finite_at=[(np.full((1, 2), np.pi / 2),)],
            label=", ".join(options),
        )
        for options, reference in (
            ({}, lambda x: (gradient_norm(x) - 1) ** 2),
            ({"target": 2.0, "one_sided": True}, lambda x: np.maximum(gradient_norm(x) - 2, 0) ** 2),
        )
    ),
    Case(
        "losses.gradient_penalty",
        functools.partial(losses.gradient_penalty, KEY, critic),
        {"real": real(), "fake": real()},
        SHAPES,
        {},
        rtol_bfloat16=ROUNDED_CRITIC,
        label="of two batches",
    ),
    Case(
        "losses.dragan_penalty",
        functools.partial(losses.dragan_penalty, KEY, critic, scale=0.0),
        {"real": real()},
        SHAPES,
        {"PyTorch": lambda x: (gradient_norm(x) - 1) ** 2},
        floor=1e-3,
        rtol_bfloat16=ROUNDED_CRITIC,
        finite_at=[(np.full((2, 2), np.pi / 2),)],
        label="without noise",
    ),
    Case(
        "losses.dragan_penalty",
        functools.partial(losses.dragan_penalty, KEY, critic),
        {"real": real()},
        SHAPES,
        {},
        rtol_bfloat16=ROUNDED_CRITIC,
        finite_at=[(np.zeros((2, 2)),)],
    ),
    *(
        Case(
            f"losses.{name}",
            functools.partial(getattr(losses, name), critic),
            {argument: real()},
            SHAPES,
            {"PyTorch": lambda x: gradient_norm(x) ** 2},
            rtol_bfloat16=ROUNDED_CRITIC,
            finite_at=[(np.full((1, 2), np.pi / 2),)],
        )
        for name, argument in (("r1_penalty", "real"), ("r2_penalty", "fake"))
    ),
    *(
        Case(
            "losses.orthogonal_penalty",
            functools.partial(losses.orthogonal_penalty, diagonal=diagonal),
            {"kernel": real()},
            [(3, 2), (2, 3), (2, 2, 3)],
            {"formula": lambda x, diagonal=diagonal: squared_excess(x, diagonal=diagonal)},
            rtol=1e-5,
            floor=1e-3,
            finite_at=[(np.zeros((3, 2)),)],
            label="diagonal" if diagonal else "",
        )
        for diagonal in (False, True)
    ),
    Case(
        "losses.clip_weights",
        lambda w: losses.clip_weights({"kernel": w}, 0.5)["kernel"],
        {"w": real()},
        SHAPES,
        {"PyTorch": lambda w: torch.clamp(torch.as_tensor(w), -0.5, 0.5).numpy()},
        finite_at=[([0.5, -0.5, 0.0],)],
    ),
]
