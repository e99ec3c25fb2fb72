"""Sections survive few examples, networks that are not finite, and files that were edited, damaged or exchanged."""

import dataclasses
import json
import os
import struct
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgen.data import example
from jaxgen.game import Model
from jaxgen.models.preprocessing import preprocess
from jaxgen.plot import render
from jaxgen.report import FAILED, SECTIONS, write_report
from jaxgen.report import gradient_norms as module_of_gradient_norms
from jaxgen.report.animations import animations
from jaxgen.report.latents_by_class import latents, principal_plane
from jaxgen.report.loss_and_quality import loss_and_quality
from jaxgen.report.losses import losses
from jaxgen.report.posterior import posterior
from jaxgen.report.quality import quality
from jaxgen.report.section import NotApplicable
from jaxgen.report.spectral_norms import layer_norms
from jaxgen.runs import Run, RunConfig
from jaxgen.training.states import initial_state
from tests.report.small_reports import STATE, inputs_of, without_files
from tests.small_runs import LINEAR, LinearConfig

GOOD = [{"step": step, "discriminator/loss": 1.0 / step, "samples/sliced_wasserstein": step} for step in range(1, 8)]

BAD_LINES = {
    "a number": "5",
    "nothing": "null",
    "a list": "[1, 2]",
    "no step": '{"discriminator/loss": 1.0}',
    "a step of another type": '{"step": "7", "discriminator/loss": 1.0}',
    "a step without end": '{"step": 1e999, "discriminator/loss": 1.0}',
    "a negative step": '{"step": -1, "discriminator/loss": 1.0}',
    "a huge step": '{"step": 1' + 400 * "0" + ', "discriminator/loss": 1.0}',
    "deep": 100_000 * "[",
    "incomplete": '{"step": 9, "discrimin',
    "no text": "\x00\x1b",
}
BAD_VALUES = {
    "large": 1e308,
    "too large for float": 10**400,
    "NaN": float("nan"),
    "infinite": float("inf"),
    "text": "1.0",
    "a list": [1.0],
    "a mapping": {"a": 1.0},
    "true": True,
}


def with_log(folder, lines, *, seeds=None, players=("discriminator",)):
    (folder / "metrics.jsonl").write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    model = Model(None, None, tuple(Named(name) for name in players))
    return inputs_of(Run(folder, "gan", RunConfig(None, data="ring", seeds=seeds), {}, model, None, 0, {}, ()))


@dataclasses.dataclass
class Named:
    """A player of which only the name is known."""

    name: str


class TestLog:
    @pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES)
    def test_a_line_that_is_none_is_skipped_and_the_others_are_kept(self, bad, tmp_path):
        inputs = with_log(tmp_path, [*GOOD[:3], bad, *GOOD[3:]])
        steps, [values] = inputs.history("discriminator/loss")
        np.testing.assert_array_equal(steps, np.arange(1, 8))
        np.testing.assert_allclose(values, [[1 / step for step in range(1, 8)]])

    @pytest.mark.parametrize("seeds", [None, 1])
    @pytest.mark.parametrize("bad", BAD_VALUES.values(), ids=BAD_VALUES)
    def test_a_value_that_is_none_is_a_gap_in_the_figure(self, bad, seeds, tmp_path, monkeypatch):
        edited = {"step": 8, "discriminator/loss": bad, "samples/sliced_wasserstein": bad}
        lines = [*GOOD, edited]
        if seeds:
            lines = [
                line | {"seeds": {name: [value] for name, value in line.items() if name != "step"}} for line in lines
            ]
        inputs = with_log(tmp_path, lines, seeds=seeds)
        _, [values] = inputs.history("discriminator/loss")
        assert np.isfinite(values[0, :7]).all()
        assert np.isnan(values[0, 7])
        drawn = [without_files(monkeypatch, name) for name in ("losses", "quality", "loss_and_quality")]
        for section in (losses, quality, loss_and_quality):
            section(inputs)
        assert all(render(figure, "svg") for [(figure, _)] in drawn[:1])

    def test_values_of_seeds_that_are_missing_are_gaps(self, tmp_path):
        for of_seeds in ({}, {"discriminator/loss": []}, {"discriminator/loss": 3}, 5, None):
            line = {"step": 8, "discriminator/loss": 1.0, "seeds": of_seeds}
            _, [values] = with_log(tmp_path, [line], seeds=2).history("discriminator/loss")
            assert np.isnan(values).all()

    def test_a_metric_that_is_never_finite_is_drawn_without_points(self, tmp_path, monkeypatch):
        lines = [line | {"discriminator/loss": None, "samples/sliced_wasserstein": None} for line in GOOD]
        inputs = with_log(tmp_path, lines)
        drawn = [without_files(monkeypatch, name) for name in ("losses", "quality", "loss_and_quality")]
        for section in (losses, quality, loss_and_quality):
            section(inputs)
        assert all(render(figure, "png") for [(figure, _)] in drawn)

    def test_names_are_no_formulas_and_no_control_sequences(self, tmp_path, monkeypatch):
        drawn = without_files(monkeypatch, "losses")
        losses(with_log(tmp_path, [{"step": 1, "a$\\frac$\x1b[2J/loss": 1.0}]))
        [(figure, _)] = drawn
        assert render(figure, "png")
        assert "\x1b" not in figure.axes[0].get_ylabel()

    def test_so_many_metrics_that_no_figure_shows_them_are_left_out(self, tmp_path):
        inputs = with_log(tmp_path, [{"step": 1} | {f"p{i}/loss": 1.0 for i in range(500)}])
        with pytest.raises(NotApplicable, match="at most 24 metrics, and the log has 500"):
            losses(inputs)

    def test_a_log_that_is_too_large_or_a_pipe_is_not_read(self, tmp_path):
        inputs = with_log(tmp_path, GOOD)
        os.truncate(tmp_path / "metrics.jsonl", 10**12)
        with pytest.raises(NotApplicable, match=r"metrics\.jsonl must have at most .* bytes, got 1000000000000"):
            losses(inputs)
        (tmp_path / "metrics.jsonl").unlink()
        os.mkfifo(tmp_path / "metrics.jsonl")
        with pytest.raises(NotApplicable, match="the log has no losses"):
            losses(dataclasses.replace(inputs))


def png_of_size(width, height):
    """A PNG file that claims a size, with few bytes of pixels."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


class TestFigures:
    @pytest.fixture
    def with_samples(self, tmp_path):
        """`with_samples()`: the input of a run of images with figures of three steps in `samples`."""
        (tmp_path / "samples").mkdir()
        for step in (1, 2, 3):
            Image.new("L", (40, 30), 50 * step).save(tmp_path / "samples" / f"step-{step:08d}-samples.png")
        shown = {"image": np.zeros((1, 8, 8, 1), np.uint8)}
        return inputs_of(Run(tmp_path, "vae", RunConfig(None), shown, None, None, 0, {}, ()))

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (png_of_size(9000, 9000), "it has 81,000,000 pixels"),
            (png_of_size(60_000, 60_000), ""),
            (png_of_size(40, 30)[:-30], ""),
            (png_of_size(40, 30), ""),
            (b"", ""),
            (b"GIF89a", ""),
            (os.mkfifo, "it is not a regular file"),
            (lambda path: path.symlink_to("/dev/zero"), "it is not a regular file"),
            (lambda path: path.mkdir(), "it is not a regular file"),
            (lambda path: path.touch() or os.truncate(path, 10**11), "it has 100,000,000,000 bytes"),
        ],
    )
    def test_a_file_that_is_no_figure_is_left_out_with_the_reason_and_not_read(self, content, reason, with_samples):
        path = with_samples.run.folder / "samples" / "step-00000002-samples.png"
        path.unlink()
        content(path) if callable(content) else path.write_bytes(content)
        [figure] = animations(with_samples).figures
        assert f"Left out: step-00000002-samples.png ({reason}" in figure.caption

    def test_no_readable_figures_are_the_reason_to_leave_the_section_out(self, with_samples):
        for path in (with_samples.run.folder / "samples").iterdir():
            path.write_bytes(b"damaged")
        with pytest.raises(NotApplicable, match=r"no figures of more than one step that can be read: step-00000001"):
            animations(with_samples)


def encoder(encode, count=1):
    """The input of a section for a model that encodes by a function of the images, with few test examples."""
    batch = {"image": np.zeros((count, 8, 8, 1), np.uint8), "label": np.zeros(count, np.int32)}
    model = Model(
        None,
        None,
        (),
        encode=lambda state, batch: encode(preprocess(batch)),
        sample_latent=lambda key, n: jnp.ones((n, 3)),
    )
    run = Run(None, "x", RunConfig(None), batch, model, STATE.replace(params={"x": jnp.zeros((1, 1))}), 0, {}, ())
    return inputs_of(run, test_examples=batch, training_examples=batch)


class TestLatents:
    @pytest.mark.parametrize("count", [1, 2, 5])
    def test_latents_of_few_or_equal_examples_are_in_a_plane(self, count, monkeypatch):
        drawn = without_files(monkeypatch, "latents_by_class")
        latents(encoder(lambda images: jnp.ones((len(images), 3)), count))
        [(figure, _)] = drawn
        assert len(figure.axes[0].collections[0].get_offsets()) == count
        assert render(figure, "png")
        assert principal_plane(np.ones((count, 3)))(np.ones((count, 3))).shape == (count, 2)

    def test_latents_that_are_not_finite_or_single_are_the_reason_to_leave_the_section_out(self):
        not_finite = encoder(lambda images: jnp.full((len(images), 3), jnp.nan), 4)
        for section in (latents, posterior):
            with pytest.raises(NotApplicable, match="the latents of the examples are not finite"):
                section(not_finite)
        with pytest.raises(NotApplicable, match="the test split has a single example"):
            posterior(encoder(lambda images: jnp.ones((len(images), 3))))


@pytest.mark.parametrize("values", [[2.0, 2.0, 2.0], [np.nan], [np.inf, 1.0, np.nan], [1e30, 1e30], [0.0], [1.0, 3.0]])
def test_a_histogram_of_values_without_a_range_shows_the_finite_ones(values):
    norms = np.array(values)
    figure = module_of_gradient_norms._figure(norms)
    assert render(figure, "png")
    heights = [patch.get_height() for patch in figure.axes[0].patches]
    assert sum(heights) == pytest.approx(np.isfinite(norms).mean())


def test_kernels_that_are_not_finite_have_no_norm(monkeypatch):
    kernels = {"d/0": np.full((3, 2), np.nan), "d/1": np.diag([3.0, 4.0])}
    monkeypatch.setattr("jaxgen.report.spectral_norms._normalized_kernels", lambda state: kernels)
    norms = layer_norms(None)
    assert np.isnan(norms["d/0"])
    assert norms["d/1"] == 4.0


def test_a_player_that_is_named_discriminator_is_no_gan_and_one_test_example_is_enough(tmp_path):
    """Of twelve images one is for the test; the linear autoencoder is given the name of a discriminator."""
    images = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "x.npz", image=images)
    config = RunConfig(LinearConfig(), data=str(tmp_path / "x.npz"))
    shown = example(config.source.load("train"))
    model = LINEAR.build(config.model_config, shown)
    (player,) = model.players
    model = model._replace(players=(player._replace(name="discriminator"),))
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "discriminator/loss": 1.0, "samples/sliced_wasserstein": 0.5}')
    run = Run(tmp_path, "linear", config, shown, model, initial_state(model, config.keys, shown), 0, {}, ())
    report = write_report(run)
    assert not [reason for reason in report.left_out.values() if reason.startswith(FAILED)]
    assert "no 'real_output'" in report.left_out["Gradient norm of the discriminator"]
    assert {"Samples", "Losses", "Latents by class", "Evaluation on the test split"} <= set(SECTIONS) - set(
        report.left_out
    )


def test_an_error_in_one_section_leaves_it_out_and_keeps_the_others(tmp_path, trained):
    def wrong(inputs):
        raise ZeroDivisionError("a <bug>")

    sections = {"Mine": wrong, "Losses": SECTIONS["Losses"]}
    report = write_report(trained("classifier"), folder=tmp_path, sections=sections)
    assert report.left_out == {"Mine": f"{FAILED}ZeroDivisionError: a <bug>"}
    assert (tmp_path / "losses.png").is_file()
    assert "ZeroDivisionError: a &lt;bug&gt;" in report.path.read_text()
