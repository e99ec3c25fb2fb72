"""Reports contain the sections that apply to a run, complete files, and metrics that agree with other computations."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import example, load
from jaxgen.errors import InputError
from jaxgen.report import SECTIONS, FigureFile, Section, write_report
from jaxgen.report.section import load_input, single
from jaxgen.runs import Run, RunConfig
from jaxgen.runs.measured_file import Measured, add_measured
from jaxgen.training.states import initial_state
from tests.report.small_reports import RUNS, parsed
from tests.small_runs import LINEAR, LinearConfig

ADVERSARIAL = {"Loss and sample quality", "Gradient norm of the discriminator", "Spectral norms"}
ONE_DIMENSIONAL = {"1-D GAN", "Optimal discriminator"}
OF_SAMPLES = {"Samples", "Sample quality over training", "Birthday test"}
WITH_ENCODER = {"Latents by class", "Aggregate posterior and prior", "Samples from a fitted latent density"}
OF_STYLES = {
    "Arbitrary style transfer",
    "Styles of layers",
    "Style mixing",
    "Truncation",
    "Noise images",
    "Directions of styles",
    "Projection into styles",
}
DECODED_IMAGES = {"Interpolation", "Class arithmetic", "Latent traversals", "Latent manifold"}

LEFT_OUT = {
    "vae": {"Predictions", *ADVERSARIAL, *ONE_DIMENSIONAL, "Style transfer"},
    "cvae": {"Predictions", "Animations", *ADVERSARIAL, *ONE_DIMENSIONAL, "Class arithmetic", "Latent manifold"},
    "digits": {"Predictions", "Animations", *ONE_DIMENSIONAL, *WITH_ENCODER, "Latent manifold", "Style transfer"},
    "ring": {
        "Predictions",
        "Spectral norms",
        "Birthday test",
        *ONE_DIMENSIONAL,
        *WITH_ENCODER,
        *DECODED_IMAGES,
        "Style transfer",
    },
    "gan_1d": {
        "Predictions",
        "Spectral norms",
        "Birthday test",
        *WITH_ENCODER,
        *DECODED_IMAGES,
        "Style transfer",
    },
    "classifier": {
        *OF_SAMPLES,
        "Animations",
        *ADVERSARIAL,
        *ONE_DIMENSIONAL,
        *WITH_ENCODER,
        *DECODED_IMAGES,
        "Style transfer",
    },
    "embedding": {
        *OF_SAMPLES,
        "Evaluation on the test split",
        "Predictions",
        *ADVERSARIAL,
        *ONE_DIMENSIONAL,
        "Aggregate posterior and prior",
        "Samples from a fitted latent density",
        *DECODED_IMAGES,
        "Style transfer",
    },
}
"""Run -> sections that do not apply to it."""


@pytest.mark.parametrize("name", RUNS)
def test_report_has_the_sections_that_apply_and_all_of_their_files(report, trained, name):
    written = report(name)
    of_features = {"Metrics measured after training"}
    if not RUNS[name].metrics:
        of_features.add("Metrics of features over training")
    assert set(written.left_out) == LEFT_OUT[name] | OF_STYLES | of_features
    assert written.path == trained(name).folder / "report" / "index.html"
    sources = parsed(written.path.read_text()).sources
    assert len(sources) == len(set(sources)) >= 2
    assert {path.name for path in written.path.parent.iterdir()} == {*sources, "index.html", "report.json"}
    for source in sources:
        with Image.open(written.path.parent / source) as image:
            image.load()
    content = json.loads(written.path.with_name("report.json").read_text())
    assert content["metrics"] == written.metrics
    assert sorted(file for files in content["figures"].values() for file in files) == sorted(sources)
    assert set(content["figures"]) | set(written.left_out) == set(SECTIONS)


@pytest.mark.parametrize(
    ("name", "heading", "reason"),
    [
        ("digits", "Aggregate posterior and prior", "the model has no encoder"),
        ("classifier", "Samples", "the model does not sample"),
        ("classifier", "Sample quality over training", "the log has no sample metrics"),
        ("embedding", "Aggregate posterior and prior", "the model has no prior of its latents"),
        ("embedding", "Evaluation on the test split", "the model has no metrics of examples or samples"),
        ("embedding", "Latent traversals", "the model has no decoder"),
    ],
)
def test_report_gives_the_reason_why_a_section_is_left_out(report, name, heading, reason):
    assert report(name).left_out[heading] == reason
    assert f"<li>{heading}: {reason}</li>" in report(name).path.read_text()


def test_stored_metrics_of_the_reported_state_are_in_the_report(trained, tmp_path):
    """Of a copy: the newest value of each, and none of another state."""
    run = trained("vae")._replace(folder=tmp_path)
    name, seeds = "frechet_distance[digits_v1, none, n=9/9, split=digits:test]", [3.0, 5.0]
    values = {"mean": 4.0, "sd": 1.0, "worst": 5.0, "seeds": seeds}
    for step, metrics in (
        (run.step, {name: {**values, "seeds": [1.0, 1.0]}}),
        (run.step, {name: values}),
        (1, {"old": values}),
    ):
        add_measured(tmp_path, Measured(step, "evaluate --metrics fid", 0, metrics))
    heading = "Metrics measured after training"
    written = write_report(run, folder=tmp_path / "report", sections={heading: SECTIONS[heading]})
    assert set(written.metrics) == {name}
    assert written.metrics[name]["seeds"] == seeds
    assert written.metrics[name]["worst"] == 5.0


@pytest.mark.parametrize("name", ["cvae", "gan_1d"])
def test_same_run_and_seed_give_the_same_bytes(report, trained, name, tmp_path):
    first = report(name).path.parent
    write_report(trained(name), folder=tmp_path)
    for path in first.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_metrics_of_each_seed_are_those_of_a_single_run(report, trained):
    chosen = (
        "Evaluation on the test split",
        "Aggregate posterior and prior",
        "Samples from a fitted latent density",
        "Birthday test",
    )
    for seed in range(2):
        inputs = load_input(single(trained("vae"), seed), seed=0)
        alone = {name: values[0] for heading in chosen for name, values in SECTIONS[heading](inputs).metrics.items()}
        for name in ("elbo", "latents_prior_mmd", "sliced_wasserstein_prior", "support_at_least"):
            assert report("vae").metrics[name]["seeds"][seed] == pytest.approx(alone[name], rel=1e-3), name


def test_family_outside_the_package_has_the_sections_of_the_functions_that_it_offers(tmp_path):
    """The linear autoencoder encodes, decodes and samples, but offers no draws from its prior; this run has no log."""
    example_batch = example(load("digits"))
    config = RunConfig(LinearConfig(latent_dim=2))
    model = LINEAR.build(config.model_config, example_batch)
    run = Run(
        tmp_path, "linear", config, example_batch, model, initial_state(model, config.keys, example_batch), 0, {}, ()
    )
    assert set(SECTIONS) - set(write_report(run).left_out) == {
        "Samples",
        "Evaluation on the test split",
        "Birthday test",
        "Latents by class",
        "Samples from a fitted latent density",
        "Interpolation",
        "Class arithmetic",
        "Latent traversals",
    }


def test_diverged_seed_is_left_out_of_all_metrics(trained, tmp_path):
    run = trained("ring")
    broken = jax.tree.map(lambda x: x.at[0].set(jnp.nan) if jnp.issubdtype(x.dtype, jnp.floating) else x, run.state)
    metrics = write_report(run._replace(state=broken, diverged={0: None}), folder=tmp_path).metrics
    for name in ("modes", "gradient_norm_mean", "sliced_wasserstein"):
        assert metrics[name]["seeds"][0] is None
        assert metrics[name]["mean"] == metrics[name]["seeds"][1]


def test_infinite_support_has_no_mean_over_seeds(trained, tmp_path):
    def infinite(inputs):
        return Section(metrics={"support": [np.inf, 5.0]})

    assert write_report(trained("ring"), folder=tmp_path, sections={"Infinite": infinite}).metrics == {
        "support": {"mean": None, "sd": None, "worst": 5.0, "seeds": [None, 5.0]}
    }


def test_section_of_the_user_is_part_of_the_report(trained, tmp_path):
    def mean(inputs):
        figure = FigureFile("mean.png", b"content", "Mean of the data.")
        return Section([figure], {"mean": [float(np.mean(inputs.test_examples["image"]))] * len(inputs.runs)})

    written = write_report(trained("classifier"), folder=tmp_path, sections={"Mean": mean})
    assert (tmp_path / "mean.png").read_bytes() == b"content"
    assert parsed(written.path.read_text()).sources == ["mean.png"]
    test = trained("classifier").config.source.load("test")
    assert written.metrics["mean"]["mean"] == pytest.approx(test["image"].mean(), rel=1e-6)


def test_section_with_invalid_input_is_left_out_with_the_reason(trained, tmp_path):
    def invalid(inputs):
        raise InputError("the test split is <not> there")

    sections = {"Distances": invalid, "Losses": SECTIONS["Losses"]}
    written = write_report(trained("classifier"), folder=tmp_path, sections=sections)
    assert written.left_out == {"Distances": "the test split is <not> there"}
    assert "<li>Distances: the test split is &lt;not&gt; there</li>" in written.path.read_text()
    assert parsed(written.path.read_text()).sources == ["losses.png"]


def test_folder_that_cannot_be_written_raises_before_the_sections(trained, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write to the folder"):
        write_report(trained("classifier"), folder=tmp_path / "file")


def test_full_disk_leaves_no_html_file(trained, tmp_path, full_disk):
    with full_disk(free=3000), pytest.raises(InputError, match="could not be written"):
        write_report(trained("classifier"), folder=tmp_path / "out")
    assert not (tmp_path / "out" / "index.html").exists()
