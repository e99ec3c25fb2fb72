"""Figures of 1-D GANs show the given densities, samples and functions."""

import numpy as np
import pytest

from jaxgen.errors import InputError
from jaxgen.plot import Snapshot, discriminators, gan_1d, saturation

X = np.linspace(-4, 4, 81)
DENSITY = np.exp(-0.5 * X**2) / np.sqrt(2 * np.pi)


def snapshot(title, shift):
    latents = np.linspace(-2, 2, 9)
    generated = shift + np.random.default_rng(0).normal(size=5000)
    return Snapshot(title, generated, 1 / (1 + np.exp(X)), latents, latents + shift)


def test_every_snapshot_has_density_histogram_discriminator_and_lines():
    figure = gan_1d(X, DENSITY, [snapshot("start", 1.0), snapshot("end", 0.0)], latent_range=(-4, 4))
    assert len(figure.axes) == 6
    upper, lower = figure.axes[:2], figure.axes[2:4]
    probability = figure.axes[4:]
    assert [axes.get_title() for axes in upper] == ["start", "end"]
    for axes in upper:
        np.testing.assert_allclose(axes.lines[0].get_xydata(), np.stack([X, DENSITY], axis=1))
    for axes in probability:
        np.testing.assert_allclose(axes.lines[0].get_ydata(), 1 / (1 + np.exp(X)))
    # The latents are rescaled to the width of the x-axis: here both ranges are [-4, 4], so the scale is 1.
    latents = np.linspace(-2, 2, 9)
    for axes, shift in zip(lower, (1.0, 0.0), strict=True):
        drawn = np.array([line.get_xydata() for line in axes.lines[:9]])
        np.testing.assert_allclose(drawn[:, 0], np.stack([latents, np.zeros(9)], axis=1), atol=1e-12)
        np.testing.assert_allclose(drawn[:, 1], np.stack([latents + shift, np.ones(9)], axis=1), atol=1e-12)


def test_histogram_is_normalized_by_all_samples_including_those_outside_the_axes():
    inside, outside = np.random.default_rng(0).normal(size=3000), np.full(1000, 99.0)
    mixed = Snapshot("", np.concatenate([inside, outside]), DENSITY, X, X)
    (steps,) = gan_1d(X, DENSITY, [mixed]).axes[0].patches
    histogram, edges, _ = steps.get_data()
    np.testing.assert_allclose(np.sum(histogram * np.diff(edges)), 0.75, atol=0.001)
    middle = np.abs((edges[1:] + edges[:-1]) / 2) < 0.5
    np.testing.assert_allclose(histogram[middle].mean(), 0.75 * 0.383, atol=0.03)


def test_axis_limits_do_not_depend_on_the_snapshot():
    first, second = (gan_1d(X, DENSITY, [snapshot("", shift)]) for shift in (3.0, 0.0))
    for one, other in zip(first.axes, second.axes, strict=True):
        assert one.get_xlim() == other.get_xlim()
        assert one.get_ylim() == other.get_ylim()


def test_discriminators_are_plotted_over_the_densities():
    figure = discriminators(X, {"p": DENSITY, "q": DENSITY[::-1]}, optimal=DENSITY, trained=2 * DENSITY, title="t")
    densities, probability = figure.axes
    assert [area.get_label() for area in densities.collections] == ["p", "q"]
    np.testing.assert_allclose(probability.lines[0].get_ydata(), DENSITY)
    np.testing.assert_allclose(probability.lines[1].get_ydata(), 2 * DENSITY)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["p", "q", "optimal D", "trained D"]


def test_mean_of_the_critic_is_subtracted():
    densities = {"real": DENSITY, "generated": DENSITY}
    curves = [
        [axes.lines[0].get_ydata() for axes in saturation(X, densities, discriminator=DENSITY, critic=f).axes[1:]]
        for f in (3 * X, 3 * X + 1000)
    ]
    np.testing.assert_allclose(curves[0][0], DENSITY)
    np.testing.assert_allclose(curves[0][1], 3 * X, atol=1e-12)
    np.testing.assert_allclose(curves[1][1], curves[0][1], atol=1e-9)


def test_discriminators_need_two_densities():
    with pytest.raises(InputError, match="densities must be those of the data and of the generator, got 1"):
        discriminators(X, {"p": DENSITY}, optimal=DENSITY, trained=DENSITY)
