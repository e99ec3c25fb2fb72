"""Section "Spectral norms": largest singular values of the layers with spectral normalization."""

from typing import TYPE_CHECKING

import jax
import numpy as np

from jaxgen.averaging import with_averages
from jaxgen.game import State
from jaxgen.nn.normalization import applied_kernels
from jaxgen.report.run_functions import checkpointed_runs, state_of
from jaxgen.report.section import NotApplicable, ReportInput, Section, png
from jaxgen.typing import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOUND = 1.01
"""Expected bound of the largest singular value of a normalized kernel."""


def spectral_norms(inputs: ReportInput) -> Section:
    """Compute the largest singular value of every normalized kernel, before training and at every checkpoint."""
    if not any("spectral" in collections for collections in inputs.run.state.stats.values()):
        raise NotApplicable("no layer has spectral normalization")
    norms = [(step, layer_norms(state_of(run))) for step, run in checkpointed_runs(inputs.run, inputs.shown_number)]
    if not norms[0][1]:
        raise NotApplicable(
            "the collection 'spectral' of the networks is not that of jaxgen.nn.normalization.SpectralNorm"
        )
    caption = (
        "Largest singular value of every normalized kernel, before training and at the stored checkpoints: the kernel "
        "is divided by the estimate of its largest singular value that is updated during training, and then decomposed "
        "by LAPACK. The value is 1 where the estimate is exact and larger where the estimate lags behind the training; "
        f"it should stay below {BOUND} (dotted). A convolution is treated as the matrix of its window and input "
        "channels by its features, and its Lipschitz constant may be larger (Miyato et al. 2018, arXiv:1802.05957, "
        "section 2)."
    )
    if averaged := sorted(inputs.run.state.ema):
        caption += f" The kernels of the averaged networks ({', '.join(averaged)}) are those of the moving averages."
    largest = [max(layer_norms(state_of(run)).values()) for run in inputs.runs]
    return Section([png("spectral_norms", _figure(norms), caption)], {"largest_singular_value": largest})


def layer_norms(state: State) -> dict[str, float]:
    """Return the largest singular value of every kernel with spectral normalization.

    Args:
        state: state of one seed; of averaged networks the moving averages are used, as for sampling.

    Returns:
        `network/layer` -> largest singular value, NaN for a kernel that is not finite.
    """
    norms = {}
    for layer, kernel in _normalized_kernels(state).items():
        matrix = np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])
        # LAPACK fails for a kernel that is not finite.
        norms[layer] = float(np.linalg.norm(matrix, 2)) if np.isfinite(matrix).all() else float("nan")
    return norms


@jax.jit
def _normalized_kernels(state: State) -> dict[str, Array]:
    """`network/layer` -> kernel, for the layers with spectral normalization."""
    state = with_averages(state)
    return {
        f"{network}/{layer}": kernel
        for network, collections in state.stats.items()
        if "spectral" in collections
        for layer, kernel in applied_kernels(state.params[network], collections["spectral"]).items()
    }


def _figure(norms: list[tuple[int, dict[str, float]]]) -> "Figure":
    from matplotlib.figure import Figure

    steps, of_steps = zip(*norms, strict=True)
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="largest singular value")
    for layer in of_steps[0]:
        axes.plot(steps, [of_step[layer] for of_step in of_steps], marker=".", label=layer)
    axes.axhline(BOUND, color="0.35", linestyle=":")
    figure.legend(loc="outside right upper", fontsize="small")
    return figure
