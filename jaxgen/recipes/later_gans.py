"""Comparisons of StyleGAN2, PGGAN and BigGAN at a size that trains on two cores: what each of their ideas changes.

path-length       path length regularization (Karras et al. 2020) on the perceptual path length
augmentation      adaptive augmentation (Karras et al. 2020) with 1,000 images
growing           progressive growing (Karras et al. 2018) for equally many images, and for equal time
truncation        truncated latents (Brock et al. 2019): recognized classes against coverage
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxgen import plot
from jaxgen.metrics.extractors import default_extractor, load_extractor
from jaxgen.metrics.protocol import metric_of
from jaxgen.models import PRESETS, progressive
from jaxgen.models.growing import REPEATS, plan
from jaxgen.recipes.claims import Claim
from jaxgen.recipes.model_comparison import Entry, ModelComparison
from jaxgen.recipes.recipe import MetricResult, Outcome, Recipe, Request
from jaxgen.recipes.recipe_runs import complete_run, with_steps
from jaxgen.recipes.sample_quality import metrics_by_classifier
from jaxgen.runs import Run, RunConfig, load_run
from jaxgen.runs.drawn_figures import MAX_FRAMES
from jaxgen.runs.log_file import read_log
from jaxgen.runs.path_length_metrics import path_length_metrics
from jaxgen.runs.sample_evaluation import evaluate_samples
from jaxgen.typing import KeyArray

BATCH_SIZE = 32

SMALL = dataclasses.replace(PRESETS["stylegan2-32"].config, base=512, largest=32)
"""StyleGAN2 with half of the channels of `stylegan2-32`."""

SMALL_IMAGES = 150_000
"""Real images of a training of these networks."""

GROWING_IMAGES = 300_000
"""Real images of a training of PGGAN."""

EQUAL_TIME_IMAGES = GROWING_IMAGES * 5 // 8
"""Real images of a training without growing that takes about as long as one with it, by their numbers of operations."""


def run_of(model_config: Any, steps: int, *, batch_size: int = BATCH_SIZE, **options: Any) -> RunConfig[Any]:
    """Return a run on MNIST with 40 lines in its log.

    Args:
        model_config: options of the model.
        steps: number of training steps.
        batch_size: number of images of an update.
        **options: further options of the run.

    Returns:
        The run.
    """
    return RunConfig(
        model_config,
        data="mnist",
        steps=steps,
        batch_size=batch_size,
        log_every=max(1, steps // 40),
        checkpoint_every=max(1, steps // 10),
        image_every=max(1, steps // 2),
        **options,
    )


def small_networks(config: RunConfig[Any]) -> RunConfig[Any]:
    """Return a run on the bundled digits with networks for 8 x 8 images, whose program is compiled quickly."""
    few, image_every = dataclasses.replace(config.model_config, size=8, base=32, largest=8), config.steps
    if isinstance(few, progressive.Config):
        if few.start == 32:
            few = dataclasses.replace(few, start=8)
        else:
            image_every = 1  # For the animation of its fade.
            fade = 4 * REPEATS * BATCH_SIZE  # So that its layers have several weights.
            few = dataclasses.replace(few, start=4, batch_sizes=(BATCH_SIZE,), stabilize=BATCH_SIZE, fade=fade)
    changed: dict[str, Any] = {"metric_samples": 200} if config.metrics else {}
    return dataclasses.replace(config, model_config=few, data="digits", image_every=image_every, **changed)


def path_lengths(run: Run, key: KeyArray, *, count: int = 10_000) -> dict[str, Any]:
    """Compute perceptual path lengths in w, by the features of the classifier of the data.

    Args:
        run: run of a model with styles.
        key: PRNG key of the latents.
        count: number of steps on paths of each seed.

    Returns:
        Protocol, as a text -> value of each seed, NaN for those that have diverged.
    """
    extractor = load_extractor(default_extractor(run.config.data))
    found = path_length_metrics(run, key, ["ppl_wfull", "ppl_wend"], extractor, count=count)
    return {name: np.array(value["seeds"], float) for name, value in found.items()}


def training_minutes(run: Run, key: KeyArray) -> dict[str, Any]:
    """Return the time that the training steps of a run have taken, without their compilation.

    Args:
        run: complete run of several seeds.
        key: not used.

    Returns:
        `training_minutes`: the same value for each seed, the time of all divided by their number.
    """
    seeds = run.config.seeds or 1
    minutes = sum(line["seconds"] for line in read_log(run.folder)) / 60
    return {"training_minutes": np.full(seeds, minutes / seeds)}


QUALITY = {
    "frechet_distance": "Fréchet distance from the test split, squared features",
    "precision": "precision: share of samples near test images",
    "recall": "recall: share of test images near samples",
    "coverage": "coverage: share of test images with samples around them",
}
"""Metrics of all comparisons here."""


def _path_length() -> ModelComparison:
    steps = SMALL_IMAGES // BATCH_SIZE
    return ModelComparison(
        entries={
            "with the penalty": Entry("stylegan2", run_of(dataclasses.replace(SMALL, path_length=2.0), steps)),
            "without it": Entry("stylegan2", run_of(SMALL, steps)),
        },
        metrics={**QUALITY, "perceptual_path_length": "perceptual path length in w, squared features"},
        measures={"quality": metrics_by_classifier, "paths": path_lengths},
        quick_measures={
            "quality": partial(metrics_by_classifier, count=200),
            "paths": partial(path_lengths, count=200),
        },
        claims=[Claim("without it", "with the penalty", "perceptual_path_length")],
        seeds=2,
        quick_steps=8,
        quick_seeds=1,
        quick_change=small_networks,
    )


def _augmentation() -> ModelComparison:
    steps = SMALL_IMAGES // BATCH_SIZE
    few: dict[str, Any] = {"subset": 1000, "metrics": ("fid",), "metric_every": max(1, steps // 10)}
    # At the published speed, by 1 in 500,000 images, the probability would not reach its level within the training.
    adaptive = dataclasses.replace(SMALL, augmentation="adaptive", adjustment=SMALL_IMAGES // 5)
    return ModelComparison(
        entries={
            "1,000 images": Entry("stylegan2", run_of(SMALL, steps, **few)),
            "1,000 images, adaptive augmentation": Entry("stylegan2", run_of(adaptive, steps, **few)),
            "60,000 images": Entry("stylegan2", run_of(SMALL, steps, metrics=("fid",), metric_every=steps // 10)),
        },
        metrics=QUALITY,
        measures={"quality": metrics_by_classifier},
        quick_measures={"quality": partial(metrics_by_classifier, count=200)},
        curves=(
            "discriminator/real_output",
            "discriminator/fake_output",
            "discriminator/augmentation_probability",
            "frechet_distance",
        ),
        claims=[Claim("1,000 images", "1,000 images, adaptive augmentation", "frechet_distance")],
        seeds=2,
        quick_steps=8,
        quick_seeds=1,
        quick_change=small_networks,
    )


def _growing() -> ModelComparison:
    # Channels as in SMALL.
    config = dataclasses.replace(PRESETS["progressive-32"].config, base=512, largest=32)
    phases = plan(config, 32)
    before = sum(phase.steps or 0 for phase in phases)
    images = sum((phase.steps or 0) * (phase.batch_size or BATCH_SIZE) for phase in phases)
    whole = dataclasses.replace(config, start=32)
    runs = {
        "growing": run_of(config, before + (GROWING_IMAGES - images) // BATCH_SIZE),
        "not growing, as many images": run_of(whole, GROWING_IMAGES // BATCH_SIZE),
        "not growing, as much time": run_of(whole, EQUAL_TIME_IMAGES // BATCH_SIZE),
    }
    # Also within each fade, for the animation.
    runs["growing"] = dataclasses.replace(runs["growing"], image_every=runs["growing"].steps // MAX_FRAMES)
    return ModelComparison(
        entries={name: Entry("progressive", run) for name, run in runs.items()},
        metrics={**QUALITY, "training_minutes": "time of the training steps of a seed, minutes"},
        measures={"quality": metrics_by_classifier, "time": training_minutes},
        quick_measures={"quality": partial(metrics_by_classifier, count=200), "time": training_minutes},
        animated=("growing",),
        claims=[Claim("not growing, as many images", "growing", "training_minutes")],
        seeds=2,
        quick_steps=5 * REPEATS,  # To the end of the fade.
        quick_seeds=1,
        quick_change=small_networks,
    )


@dataclass(frozen=True)
class TruncationCurve:
    """A recipe that trains a conditional model and measures its samples at several truncations of the latents.

    Attributes:
        config: the run.
        thresholds: bounds of the coordinates of the latents; None for all latents.
        count: number of samples at each of them.
        seeds: number of seeds.
        quick_steps: training steps of a quick run.
    """

    config: RunConfig[Any]
    thresholds: Sequence[float | None] = (None, 2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.1)
    count: int = 10_000
    seeds: int = 1
    quick_steps: int = 8

    def __call__(self, request: Request) -> Outcome:
        """Train the model and measure its samples."""
        seeds = request.seeds or self.seeds
        config = dataclasses.replace(self.config, seeds=seeds, data_dir=request.data_dir)
        if request.quick:
            config = _small_conditional(with_steps(config, self.quick_steps))
        folder = request.folder / "biggan"
        request.notify(f"BigGAN: {seeds} seeds, {config.steps} steps, in {folder}")
        complete_run(folder, "biggan", config, request.notify)
        run, extractor = load_run(folder), load_extractor(default_extractor(config.data))
        rows: dict[str, dict[str, MetricResult]] = {}
        for threshold in self.thresholds:
            name = "all latents" if threshold is None else f"truncation {threshold:g}"
            request.notify(name)
            found = evaluate_samples(
                run,
                jax.random.key(config.seed),
                ["fid", "precision_recall", "density_coverage", "intra_class"],
                extractor,
                count=200 if request.quick else self.count,
                split="test",
                truncation=threshold,
            )
            rows[name] = {_without_truncation(each): MetricResult(tuple(v["seeds"])) for each, v in found.items()}
        return Outcome(rows, figures={"truncation": self._figure(rows)})

    def _figure(self, rows: Mapping[str, Mapping[str, MetricResult]]) -> plot.Drawing:
        """Curves of shares over the threshold; latents without one stand at the largest coordinate among many."""
        places = np.array([4.0 if threshold is None else threshold for threshold in self.thresholds])
        order = np.argsort(places)
        shares = ("classifier_accuracy", "precision", "recall", "coverage")
        curves = {metric: np.array([_values(row, metric) for row in rows.values()]).T[:, order] for metric in shares}
        return plot.training_curves(
            dict.fromkeys(shares, places[order]), {"share": curves}, xlabel="truncation of the latents (4: none)"
        )


def _values(row: Mapping[str, MetricResult], metric: str) -> list[float]:
    (result,) = (result for name, result in row.items() if metric_of(name) == metric)
    return [np.nan if value is None else value for value in result.values]


def _without_truncation(name: str) -> str:
    """The protocol of a number without the truncation, which its row names."""
    head, separator, _ = name.rpartition(", truncation=")
    return f"{head}]" if separator else name


def _small_conditional(config: RunConfig[Any]) -> RunConfig[Any]:
    """A run on the bundled digits with narrow networks."""
    few = dataclasses.replace(config.model_config, size=8, width=2, shared_dim=4)
    return dataclasses.replace(config, model_config=few, data="digits", image_every=config.steps)


def _biggan() -> TruncationCurve:
    preset = PRESETS["biggan-28"]
    return TruncationCurve(run_of(preset.config, 3200, batch_size=preset.batch_size or BATCH_SIZE))


LATER_GAN_RECIPES = {
    "path-length": Recipe(
        description="StyleGAN2 with and without path length regularization; on MNIST",
        reference="Karras et al. 2020, arXiv:1912.04958, table 1, rows C and D (no numbers: other data and distance)",
        duration="3 hours on one core of an EPYC (estimated from the first steps); --quick: 3 minutes",
        run=_path_length(),
        protocol=(
            f"StyleGAN2 with half of the channels of stylegan2-32, {SMALL_IMAGES:,} real images in batches of "
            f"{BATCH_SIZE}, two seeds. 10,000 samples beside the 10,000 test images by the features of mnist_v1; path "
            "lengths of 10,000 steps of 0.0001 in w, by the squared difference of these features."
        ),
    ),
    "augmentation": Recipe(
        description="StyleGAN2 of 1,000 images with and without adaptive augmentation; on MNIST",
        reference="Karras et al. 2020, arXiv:2006.06676, figures 1 and 7 (no numbers: other data and distance)",
        duration="5 hours on one core of an EPYC (estimated from the first steps); --quick: 5 minutes",
        run=_augmentation(),
        protocol=(
            f"StyleGAN2 with half of the channels of stylegan2-32, {SMALL_IMAGES:,} real images in batches of "
            f"{BATCH_SIZE}, of which 1,000 or 60,000 are different, two seeds; the probability of augmentations may "
            f"change by 1 in {SMALL_IMAGES // 5:,} images. The runs log the Fréchet distance of 1,000 samples from all "
            "training images. At the end 10,000 samples beside the 10,000 test images by the features of mnist_v1."
        ),
    ),
    "growing": Recipe(
        description="PGGAN with and without progressive growing, for equally many images and for equal time; on MNIST",
        reference="Karras et al. 2018, arXiv:1710.10196, figure 4 and section 6.2 (no numbers: other data)",
        duration="3 hours on one core of an EPYC (estimated from its operations); --quick: 5 minutes",
        run=_growing(),
        protocol=(
            f"progressive-32 with half of its channels: {GROWING_IMAGES:,} real images from 8 x 8 to 32 x 32 pixels; "
            f"the same networks without growing for as many images, and for {EQUAL_TIME_IMAGES:,}, which take about as "
            "long. Two seeds; 10,000 "
            "samples beside the 10,000 test images by the features of mnist_v1. Times are those of the steps, without "
            "compilation, of one training after the other on the same machine. The animation has samples of the same "
            "latents while the layers of the growing generator fade in."
        ),
    ),
    "truncation": Recipe(
        description="recognized classes and coverage of BigGAN's samples by the truncation of its latents; on MNIST",
        reference="Brock et al. 2019, arXiv:1809.11096, section 3.1, figure 2a (no numbers: other data)",
        duration="1 hour on one core of an EPYC (estimated from the first steps); --quick: 3 minutes",
        run=_biggan(),
        protocol=(
            "biggan-28, 3,200 steps of 64 images, one seed, samples by recomputed statistics. At each truncation "
            "10,000 samples of uniform classes beside the 10,000 test images by the features and the classes of "
            "mnist_v1; coordinates of the latents beyond the bound are drawn again."
        ),
    ),
}
"""Recipe name -> recipe."""
