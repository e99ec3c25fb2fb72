"""References of `jaxgen/losses/regression.py`."""

import functools

import scipy.special
import torch

from jaxgen import losses
from tests.contract import Case, real

PAIR = {"predictions": real(1e4), "targets": real(1e4)}
SHAPES = [(), (7,), (3, 4)]
AT_THE_THRESHOLDS = [([0.0, 0.5, 1.0, 2.0, -0.5, -1.0, -2.0, 1e4], [0.0] * 8)]


def by_torch(loss, **options):
    return lambda *arrays: loss(*map(torch.as_tensor, arrays), reduction="none", **options).numpy()


F = torch.nn.functional
CASES = [
    Case(
        "losses.absolute_error",
        losses.absolute_error,
        PAIR,
        SHAPES,
        {"PyTorch": by_torch(F.l1_loss)},
        finite_at=AT_THE_THRESHOLDS,
    ),
    Case(
        "losses.squared_error",
        losses.squared_error,
        PAIR,
        SHAPES,
        {"PyTorch": by_torch(F.mse_loss)},
        finite_at=AT_THE_THRESHOLDS,
    ),
    *(
        Case(
            "losses.huber",
            functools.partial(losses.huber, delta=delta),
            PAIR,
            SHAPES,
            {
                "PyTorch": by_torch(F.huber_loss, delta=delta),
                "SciPy": lambda p, t, d=delta: scipy.special.huber(d, p - t),
            },
            finite_at=AT_THE_THRESHOLDS,
            label=f"delta={delta}",
        )
        for delta in (0.25, 1.0, 100.0)
    ),
    *(
        Case(
            "losses.smooth_l1",
            functools.partial(losses.smooth_l1, beta=beta),
            PAIR,
            SHAPES,
            {"PyTorch": by_torch(F.smooth_l1_loss, beta=beta)},
            finite_at=AT_THE_THRESHOLDS,
            label=f"beta={beta}",
        )
        for beta in (0.0, 0.25, 1.0, 100.0)
    ),
]
