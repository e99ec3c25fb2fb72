"""How a run went: its losses, what its samples were worth meanwhile, and whether the one told of the other."""

import re
from pathlib import Path

import numpy as np

from jaxgen import plot
from jaxgen.callbacks.sample_metrics import PREFIX
from jaxgen.report.section import FigureFile, NotApplicable, ReportInput, Section, gif, need_discriminator, png

FRAMES = 40
"""Pictures in an animation, at most."""

STRIP = 5
"""Pictures side by side."""

FEWEST = 4
"""Moments of which a rank correlation is taken."""


def losses(subject: ReportInput) -> Section:
    """The loss of every player over training."""
    names = [name for name in (subject.log[-1] if subject.log else ()) if name.endswith("/loss")]
    if not names:
        raise NotApplicable("the log has no losses")
    steps, curves = subject.history(*names)
    figure = plot.training_curves(steps, {name: {subject.run.family: v} for name, v in zip(names, curves, strict=True)})
    caption = (
        "What every player minimized, mean over the turns between two lines of the log; of several seeds the mean, "
        "with a standard deviation to either side. Losses of players with opposite aims need not fall: in a GAN each "
        "depends on how good the other is, and 2 log 2 = 1.386 for the discriminator (-log D(x) - log(1 - D(G(z)))) "
        "says that it cannot tell real from generated (Goodfellow et al. 2014, arXiv:1406.2661)."
    )
    return Section([png("losses", figure, caption)])


def quality(subject: ReportInput) -> Section:
    """What the samples were worth over training."""
    names = _sample_metrics(subject)
    steps, curves = subject.history(*names)
    shown = {name.removeprefix(PREFIX): {subject.run.family: v} for name, v in zip(names, curves, strict=True)}
    caption = (
        "Samples judged while the model was trained, always from the same noise. sliced_wasserstein is the distance to "
        "as many training examples and should fall, but not to 0: two samples of the data themselves differ. On a "
        "mixture, modes and high_quality (share within 3 standard deviations of a mode) should rise, and mode_kl, the "
        "divergence of the modes' shares from the true ones, should fall to 0 (Srivastava et al. 2017, "
        "arXiv:1705.07761)."
    )
    last = {"sliced_wasserstein": curves[names.index(f"{PREFIX}sliced_wasserstein")][:, -1].tolist()}
    return Section([png("quality", plot.training_curves(steps, shown), caption)], last)


def loss_and_quality(subject: ReportInput) -> Section:
    """Whether the discriminator's loss follows the quality of samples."""
    need_discriminator(subject)
    critic = getattr(subject.run.config.model_config, "loss", None) == "wasserstein"
    label, steps, estimate, metric = _estimate_and_distance(subject, critic=critic)
    correlations = [rank_correlation(a, b) for a, b in zip(estimate, metric, strict=True)]
    figure = plot.loss_against_metric(
        estimate[0],
        metric[0],
        step=steps,
        labels=(label, "sliced Wasserstein distance"),
        title=f"rank correlation {correlations[0]:.2f}" if np.isfinite(correlations[0]) else "",
    )
    caption = (
        f"{label.capitalize()} against the distance of samples from the data, one point for each moment of the "
        f"training at which samples were judged, here {len(steps)}; a rank correlation needs {FEWEST} that differ. Of "
        "several seeds the first. What a Wasserstein critic says of real examples less "
        "what it says of generated ones estimates a distance, as soon as the critic has caught up with the generator: "
        "its points should rise from left to right, with a rank correlation near 1. Minus the adversarial loss of a "
        "discriminator that classifies, without what penalties and classes add to it, is an estimate too, of a "
        "divergence that is at its largest as long as the two do not overlap, and says less of the samples (Arjovsky, "
        "Chintala and Bottou 2017, arXiv:1701.07875, figures 3 and 4)."
    )
    return Section([png("loss_and_quality", figure, caption)], {"rank_correlation": correlations})


def films(subject: ReportInput) -> Section:
    """The pictures that were drawn while the model was trained, as animations."""
    drawn = _drawn(subject.run.folder / "samples")
    if not drawn:
        raise NotApplicable("the run has not drawn pictures of more than one step")
    what = {
        "samples": "Samples",
        "reconstructions": "Examples and their reconstructions",
        "codes": "Codes of examples",
        "game": "Data, generator and discriminator on the line",
    }
    images = []
    for kind, paths in drawn.items():
        frames = [_pixels(path) for path in _spaced(paths, FRAMES)]
        caption = (
            f"{what.get(kind, kind)} from the first picture to the last one, always from the same noise: what moves is "
            "what the model learns. It should come to rest; samples that jump from mode to mode for ever are the mode "
            "collapse of a GAN (Metz et al. 2017, arXiv:1611.02163, figure 2)."
        )
        images.append(gif(f"{kind}_over_training", frames, caption))
    if not subject.images and "samples" in drawn:
        images.append(_strip(drawn["samples"]))
    return Section(images)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of the pairs that are finite; NaN where they are few, or one side never changes.

    Args:
        x: one value of each pair.
        y: the other one.

    Returns:
        Between -1 and 1.

    Example:
        >>> rank_correlation(np.array([1.0, 2.0, 3.0, np.nan, 5.0]), np.array([1.0, 4.0, 9.0, 0.0, 25.0]))
        1.0
    """
    from scipy.stats import spearmanr

    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    return float(spearmanr(x, y).statistic)


def _estimate_and_distance(subject: ReportInput, *, critic: bool) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """What is said, steps, what D says of the distance at each, and the sliced Wasserstein distance of the samples.

    Penalties and class terms, which are in D's loss, are no part of the estimate.
    """
    distance = f"{PREFIX}sliced_wasserstein"
    if critic:
        names = ("discriminator/real_output", "discriminator/fake_output", distance)
        steps, (real, fake, metric) = subject.history(*names)
        return "critic's estimate", steps, real - fake, metric
    # Logs have not always had it, and in VAE/GAN it is the whole loss.
    apart = any("discriminator/adversarial_loss" in line for line in subject.log)
    name = "adversarial_loss" if apart else "loss"
    steps, (loss, metric) = subject.history(f"discriminator/{name}", distance)
    return f"minus the discriminator's {name.replace('_', ' ')}", steps, -loss, metric


def _sample_metrics(subject: ReportInput) -> list[str]:
    names = {name for line in subject.log for name in line if name.startswith(PREFIX)}
    if not names:
        raise NotApplicable("the log has no judgement of samples")
    return sorted(names)


def _drawn(folder: Path) -> dict[str, list[Path]]:
    """Kind of picture -> files in the order of their steps, all of the size of the last one."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("step-*.png")):
        if match := re.fullmatch(r"step-\d+-(\w+)\.png", path.name):
            kinds.setdefault(match[1], []).append(path)
    alike = {kind: [path for path in paths if _size(path) == _size(paths[-1])] for kind, paths in kinds.items()}
    return {kind: paths for kind, paths in alike.items() if len(paths) > 1}


def _strip(paths: list[Path]) -> FigureFile:
    """Some pictures of points side by side, at half their size."""
    chosen = _spaced(paths, STRIP)
    small = np.stack([_pixels(path, shrink=2) for path in chosen])
    steps = ", ".join(str(int(path.name.split("-")[1])) for path in chosen)
    caption = (
        f"Samples (red) over the data (grey) at the steps {steps}, left to right. In the end every mode of the data "
        "should have its share of samples, and nothing should lie between them (Metz et al. 2017, arXiv:1611.02163, "
        "figure 2)."
    )
    return png("samples_at_steps", plot.image_grid(small, columns=len(small)), caption)


def _spaced(paths: list[Path], most: int) -> list[Path]:
    chosen = np.unique(np.linspace(0, len(paths) - 1, most).round().astype(int))
    return [paths[i] for i in chosen]


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def _pixels(path: Path, *, shrink: int = 1) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").reduce(shrink))
