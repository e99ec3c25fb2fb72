"""The report of a run: the table of its sections, and the folder that they are written to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxgen._signatures import checked
from jaxgen.atomic_write import write_atomic
from jaxgen.errors import InputError
from jaxgen.metrics.protocol import metric_of
from jaxgen.paths import expand_path
from jaxgen.report.animations import animations
from jaxgen.report.arithmetic import class_arithmetic
from jaxgen.report.birthday import birthday
from jaxgen.report.directions_of_styles import directions_of_styles
from jaxgen.report.feature_curves import feature_metrics
from jaxgen.report.gan_1d import gan_1d
from jaxgen.report.gradient_norms import gradient_norms
from jaxgen.report.html import write_html
from jaxgen.report.interpolation import interpolation
from jaxgen.report.latent_density_samples import latent_density
from jaxgen.report.latents_by_class import latents
from jaxgen.report.loss_and_quality import loss_and_quality
from jaxgen.report.losses import losses
from jaxgen.report.manifold import manifold
from jaxgen.report.metric_tables import evaluation, measured
from jaxgen.report.noise_spread import noise_images
from jaxgen.report.optimal_discriminator import optimal_discriminator
from jaxgen.report.posterior import posterior
from jaxgen.report.predictions import predictions
from jaxgen.report.projected_examples import projected_examples
from jaxgen.report.quality import quality
from jaxgen.report.samples import samples
from jaxgen.report.section import NotApplicable, ReportInput, Section, SectionFunction, load_input
from jaxgen.report.spectral_norms import spectral_norms
from jaxgen.report.style_mixing import style_mixing
from jaxgen.report.styles import style_transfer
from jaxgen.report.styles_of_layers import styles_of_layers
from jaxgen.report.stylized_examples import arbitrary_style_transfer
from jaxgen.report.traversals import latent_traversals
from jaxgen.report.truncation import truncation
from jaxgen.runs.evaluation import BETTER
from jaxgen.runs.loading import Run
from jaxgen.runs.outputs import make_folder, write_json
from jaxgen.training.seeds import Better, summarize

SECTIONS: dict[str, SectionFunction] = {
    "Samples": samples,
    "Evaluation on the test split": evaluation,
    "Metrics measured after training": measured,
    "Predictions": predictions,
    "Losses": losses,
    "Sample quality over training": quality,
    "Metrics of features over training": feature_metrics,
    "Loss and sample quality": loss_and_quality,
    "Animations": animations,
    "1-D GAN": gan_1d,
    "Optimal discriminator": optimal_discriminator,
    "Gradient norm of the discriminator": gradient_norms,
    "Spectral norms": spectral_norms,
    "Birthday test": birthday,
    "Latents by class": latents,
    "Aggregate posterior and prior": posterior,
    "Samples from a fitted latent density": latent_density,
    "Interpolation": interpolation,
    "Class arithmetic": class_arithmetic,
    "Latent traversals": latent_traversals,
    "Latent manifold": manifold,
    "Style transfer": style_transfer,
    "Arbitrary style transfer": arbitrary_style_transfer,
    "Styles of layers": styles_of_layers,
    "Style mixing": style_mixing,
    "Truncation": truncation,
    "Noise images": noise_images,
    "Directions of styles": directions_of_styles,
    "Projection into styles": projected_examples,
}
"""Heading -> section, in the order of the report."""

BETTER_IN_REPORT: Mapping[str, Better] = BETTER | {
    "collisions": "smaller",
    "latents_prior_mmd": "smaller",
    "log_ratio_error": "smaller",
    "optimal_value": "smaller",
    "probability_error": "smaller",
    "rank_correlation": "larger",
    "sliced_wasserstein": "smaller",
    "sliced_wasserstein_mixture": "smaller",
    "sliced_wasserstein_prior": "smaller",
    "support": "larger",
    "support_at_least": "larger",
}
"""Metric -> which values are better, with those of the sections."""


FAILED = "an error of the section: "
"""Beginning of the reason for which a section is left out that raised an error which is not one of its input."""


class Report(NamedTuple):
    """A report that has been written.

    Attributes:
        path: path of the HTML file.
        metrics: metric name -> value, None where it is not finite; for a run of several seeds what `summarize` returns.
        left_out: heading of a section -> reason why it is left out: it does not apply, or its input cannot be had.
    """

    path: Path
    metrics: dict[str, Any]
    left_out: dict[str, str]


@checked
def write_report(
    run: Run,
    *,
    folder: str | Path | None = None,
    seed: int = 0,
    data_dir: str | None = None,
    run_index: int | None = None,
    sections: Mapping[str, SectionFunction] = SECTIONS,
) -> Report:
    """Write the report of a run: all figures and metrics that apply to it.

    The same run and seed give the same files. The HTML file is written last.

    Args:
        run: run to report on. Of several seeds, metrics are those of all that have not diverged; samples are shown of
            all of these, and other figures show one.
        folder: output folder: `index.html`, `report.json` and the figures; None for `report` in the run folder.
        seed: seed of everything that sections draw.
        data_dir: folder of the data sets, if it is not that of the training.
        run_index: number of the seed that figures show, counted from 0; None for the first that has not diverged.
        sections: heading -> section; e.g. `SECTIONS` and further sections of the user.

    Returns:
        The metrics, and the sections that are left out.

    Raises:
        InputError: if the folder cannot be written, or the data cannot be loaded or have changed.
    """
    folder = run.folder / "report" if folder is None else expand_path(folder)
    make_folder(folder)
    inputs = load_input(run, seed=seed, data_dir=data_dir, run_index=run_index)
    results: dict[str, Section] = {}
    left_out: dict[str, str] = {}
    for heading, section in sections.items():
        try:
            results[heading] = section(inputs)
        except (NotApplicable, InputError) as reason:
            left_out[heading] = str(reason)
            continue
        except Exception as error:  # An error in one section, e.g. of the user, must not cost all others.
            left_out[heading] = f"{FAILED}{type(error).__name__}: {error}"
            continue
        for figure in results[heading].figures:
            write_atomic(folder / figure.name, figure.content)
    metrics = {name: value for result in results.values() for name, value in _summarized(inputs, result).items()}
    content = {
        "family": run.family,
        "preset": run.preset,
        "data": run.config.data,
        "step": run.step,
        "seed": seed,
        "shown_seed": run.config.seed + inputs.shown_number,
        "metrics": metrics,
        "figures": {heading: [figure.name for figure in result.figures] for heading, result in results.items()},
        "left_out": left_out,
    }
    write_json(folder / "report.json", content)
    title = f"{run.name} on {run.config.data}, step {run.step}"
    figures = {heading: result.figures for heading, result in results.items()}
    write_atomic(folder / "index.html", write_html(title, figures, metrics, left_out, note=_note(inputs)).encode())
    return Report(folder / "index.html", metrics, left_out)


def _note(inputs: ReportInput) -> str:
    """The sentence that says which of several seeds is shown; empty for a single one."""
    run, config = inputs.run, inputs.run.config
    if config.seeds is None:
        return ""
    last, diverged = config.seed + config.seeds - 1, sorted(config.seed + i for i in run.diverged)
    without = f", without those that diverged ({', '.join(map(str, diverged))})" if diverged else ""
    return (
        f"The run has the seeds {config.seed} to {last}. Metrics and curves are those of all of them{without}. A "
        f"figure of a single seed shows {run.seed_title(inputs.shown_number)}, except figures that were drawn during "
        "training, which have their seed as a title."
    )


def _summarized(inputs: ReportInput, section: Section) -> dict[str, Any]:
    """The metrics of a section over seeds, or those of a single run."""
    seeds = inputs.run.config.seeds
    if seeds is None:
        return {name: float(value) if np.isfinite(value) else None for name, [value] in section.metrics.items()}
    metrics = {}
    for name, values in section.metrics.items():
        of_seeds = np.full(seeds, np.nan)
        of_seeds[inputs.finite] = values
        better = BETTER_IN_REPORT.get(metric_of(name))
        metrics[name] = summarize(jnp.asarray(of_seeds), better=better, left_out=inputs.run.diverged)
        if np.isinf(of_seeds).any():  # The support size, if there are no duplicates; then there is no mean.
            metrics[name] |= {"mean": None, "sd": None}
    return metrics
