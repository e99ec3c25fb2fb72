"""References of `jaxgen/losses/adversarial.py`: losses of PyTorch and logarithms of SciPy."""

import scipy.special
import torch

from jaxgen import losses
from tests.contract import Case, real

F = torch.nn.functional
SHAPES = [(), (6,), (4, 3)]
CONFIDENT = [([0.0, 1.0, -1.0, 1e4, -1e4], [0.0, -1.0, 1.0, -1e4, 1e4])]


def towards(loss, target):
    """Return a PyTorch loss between logits and one target for all of them."""
    return lambda logits: loss(logits, torch.full_like(logits, target), reduction="none")


def margin(sign):
    return lambda logits: F.margin_ranking_loss(
        logits, torch.zeros_like(logits), torch.full_like(logits, sign), margin=1.0, reduction="none"
    )


def entropy_of_real(logits):
    # PyTorch's cross-entropy with logits is not accurate where it is small.
    return -F.logsigmoid(logits)


def entropy_of_fake(logits):
    return -F.logsigmoid(-logits)


square_of_real, square_of_fake = (towards(F.mse_loss, target) for target in (1.0, 0.0))


def relativistic(first, second):
    return entropy_of_real(first - second.mean()) + entropy_of_fake(second - first.mean())


# Discriminator and generator loss by name, from PyTorch and, where it is independent, from a formula.
REFERENCES = {
    "minimax": (
        {
            "PyTorch": lambda real, fake: entropy_of_real(real) + entropy_of_fake(fake),
            "SciPy": lambda real, fake: -scipy.special.log_expit(real) - scipy.special.log_expit(-fake),
        },
        {
            "PyTorch": lambda fake: -entropy_of_fake(fake),
            "SciPy": lambda fake: scipy.special.log_expit(-fake),
        },
    ),
    "non_saturating": (
        {
            "PyTorch": lambda real, fake: entropy_of_real(real) + entropy_of_fake(fake),
            "SciPy": lambda real, fake: -scipy.special.log_expit(real) - scipy.special.log_expit(-fake),
        },
        {"PyTorch": entropy_of_real, "SciPy": lambda fake: -scipy.special.log_expit(fake)},
    ),
    "least_squares": (
        {"PyTorch": lambda real, fake: 0.5 * (square_of_real(real) + square_of_fake(fake))},
        {"PyTorch": lambda fake: 0.5 * square_of_real(fake)},
    ),
    "hinge": (
        {"PyTorch": lambda real, fake: margin(1.0)(real) + margin(-1.0)(fake)},
        {"formula": lambda fake: -fake},
    ),
    "wasserstein": (
        {"formula": lambda real, fake: fake - real},
        {"formula": lambda fake: -fake},
    ),
    "relativistic_average": (
        {"PyTorch": relativistic},
        {"PyTorch": lambda fake, real: relativistic(fake, real)},
    ),
}


def on_tensors(who, reference):
    return (lambda *xs: reference(*map(torch.as_tensor, xs)).numpy()) if who == "PyTorch" else reference


def case(name, side, references):
    function = getattr(getattr(losses, name), side)
    names = {
        "discriminator": ("real_logits", "fake_logits"),
        "generator": ("fake_logits", "real_logits") if name == "relativistic_average" else ("fake_logits",),
    }[side]
    # Far from the boundary the loss is exp(-logit), whose relative error is the absolute error of the mean logit.
    size = 10.0 if name == "relativistic_average" else 80.0
    return Case(
        f"losses.{name}.{side}",
        function,
        dict.fromkeys(names, real(size)),
        SHAPES,
        {who: on_tensors(who, reference) for who, reference in references.items()},
        finite_at=[arguments[: len(names)] for arguments in CONFIDENT],
    )


CASES = [
    case(name, side, references)
    for name, both in REFERENCES.items()
    for side, references in zip(("discriminator", "generator"), both, strict=True)
]
