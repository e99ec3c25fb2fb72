"""Text is drawn within its limits, and matplotlib shows it as it is."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from jaxgen.plot import render
from jaxgen.plot.text import draw_text, literal


@pytest.mark.parametrize("size", [10, 16, 24])
@pytest.mark.parametrize("text", ["seed 3", "gjpqy ÄÖÜ", "| no"])
def test_no_part_of_a_letter_is_cut_off(text, size):
    drawn = draw_text(text, size=size)
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", round(0.75 * size))
    large = Image.new("L", (400, 100), 255)
    ImageDraw.Draw(large).text((50, 50), text, fill=0, font=font)
    assert (255 - drawn.astype(int)).sum() == pytest.approx((255 - np.asarray(large, int)).sum(), rel=0.02)
    assert len(drawn) == size


def test_text_that_is_too_wide_is_cut():
    assert draw_text("a long name of a class", size=16, width=60).shape[1] <= 60
    np.testing.assert_array_equal(draw_text("short", size=16, width=200), draw_text("short", size=16))
    assert draw_text("name", size=16, width=0).size == 0


def test_control_characters_are_drawn_as_their_escapes():
    np.testing.assert_array_equal(draw_text("a\x1b\n", size=16), draw_text(r"a\x1b\n", size=16))


@pytest.mark.parametrize("text", [r"a$\frac$b", "$", "$$", r"\$x$", "5 $ and 6 $"])
def test_dollar_signs_are_no_formula(text):
    figure = Figure(figsize=(3, 1))
    label = figure.text(0, 0.5, literal(text))
    assert render(figure, "png")
    shown, formula = label._preprocess_math(label.get_text())
    assert formula is False
    assert shown.replace("\\\\", "\\") == text or "\\" in text


def test_a_leading_underscore_is_shown_in_legends():
    """matplotlib leaves out labels that begin with one."""
    axes = Figure().add_subplot()
    axes.plot([0, 1], label=literal("_run"))
    assert [text.get_text() for text in axes.legend().get_texts()] == [" _run"]
