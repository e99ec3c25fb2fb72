"""Games on the line are drawn where they are."""

import numpy as np
import pytest

from jaxgen.plot import Moment, discriminators, gan_1d, saturation

PLACES = np.linspace(-4, 4, 81)
DENSITY = np.exp(-0.5 * PLACES**2) / np.sqrt(2 * np.pi)


def moment(title, shift):
    noise = np.linspace(-2, 2, 9)
    generated = shift + np.random.default_rng(0).normal(size=5000)
    return Moment(title, generated, 1 / (1 + np.exp(PLACES)), noise, noise + shift)


def test_every_moment_shows_data_histogram_discriminator_and_lines():
    figure = gan_1d(PLACES, DENSITY, [moment("start", 1.0), moment("end", 0.0)], noise_range=(-4, 4))
    assert len(figure.axes) == 6
    upper, lower = figure.axes[:2], figure.axes[2:4]
    probability = figure.axes[4:]
    assert [axes.get_title() for axes in upper] == ["start", "end"]
    for axes in upper:
        np.testing.assert_allclose(axes.lines[0].get_xydata(), np.stack([PLACES, DENSITY], axis=1))
    for axes in probability:
        np.testing.assert_allclose(axes.lines[0].get_ydata(), 1 / (1 + np.exp(PLACES)))
    # The axis of the noise is as wide as that of the data: here both are [-4, 4], and lines need no stretching.
    noise = np.linspace(-2, 2, 9)
    for axes, shift in zip(lower, (1.0, 0.0), strict=True):
        drawn = np.array([line.get_xydata() for line in axes.lines[:9]])
        np.testing.assert_allclose(drawn[:, 0], np.stack([noise, np.zeros(9)], axis=1), atol=1e-12)
        np.testing.assert_allclose(drawn[:, 1], np.stack([noise + shift, np.ones(9)], axis=1), atol=1e-12)


def test_the_histogram_is_the_density_of_all_samples_of_which_some_lie_outside():
    inside, outside = np.random.default_rng(0).normal(size=3000), np.full(1000, 99.0)
    half = Moment("", np.concatenate([inside, outside]), DENSITY, PLACES, PLACES)
    (steps,) = gan_1d(PLACES, DENSITY, [half]).axes[0].patches
    shares, edges, _ = steps.get_data()
    np.testing.assert_allclose(np.sum(shares * np.diff(edges)), 0.75, atol=0.001)
    middle = np.abs((edges[1:] + edges[:-1]) / 2) < 0.5
    np.testing.assert_allclose(shares[middle].mean(), 0.75 * 0.383, atol=0.03)


def test_frames_of_an_animation_have_the_same_axes():
    first, second = (gan_1d(PLACES, DENSITY, [moment("", shift)]) for shift in (3.0, 0.0))
    for one, other in zip(first.axes, second.axes, strict=True):
        assert one.get_xlim() == other.get_xlim()
        assert one.get_ylim() == other.get_ylim()


def test_discriminators_are_drawn_over_the_densities():
    figure = discriminators(PLACES, {"p": DENSITY, "q": DENSITY[::-1]}, optimal=DENSITY, trained=2 * DENSITY, title="t")
    densities, probability = figure.axes
    assert [area.get_label() for area in densities.collections] == ["p", "q"]
    np.testing.assert_allclose(probability.lines[0].get_ydata(), DENSITY)
    np.testing.assert_allclose(probability.lines[1].get_ydata(), 2 * DENSITY)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["p", "q", "optimal D", "trained D"]


def test_of_the_critic_only_differences_are_drawn():
    densities = {"real": DENSITY, "generated": DENSITY}
    drawn = [
        [axes.lines[0].get_ydata() for axes in saturation(PLACES, densities, discriminator=DENSITY, critic=f).axes[1:]]
        for f in (3 * PLACES, 3 * PLACES + 1000)
    ]
    np.testing.assert_allclose(drawn[0][0], DENSITY)
    np.testing.assert_allclose(drawn[0][1], 3 * PLACES, atol=1e-12)
    np.testing.assert_allclose(drawn[1][1], drawn[0][1], atol=1e-9)


def test_two_densities_are_compared():
    with pytest.raises(ValueError, match="zip"):
        discriminators(PLACES, {"p": DENSITY}, optimal=DENSITY, trained=DENSITY)
