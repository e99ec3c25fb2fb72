"""The HTML of a report is well formed for any captions, and shows metrics over seeds."""

import pytest

from jaxgen.report.html import write_html
from jaxgen.report.section import FigureFile
from tests.report.small_reports import parsed


@pytest.mark.parametrize("text", ["a < b & c", '<script>alert("x")</script>', "$title costs 5 $"])
def test_text_is_escaped(text):
    html = parsed(write_html(text, {text: [FigureFile("x.png", b"", text)]}, {text: 1.5}, {text: text}))
    # Title twice, heading, caption, metric, and the section that is left out with its reason.
    assert "".join(html.text).count(text) == 7
    assert html.sources == ["x.png"]


def test_control_characters_and_what_utf8_does_not_allow_are_escaped():
    text = "a\x1b[2J\x00\udcff"
    html = write_html(text, {text: [FigureFile("x.png", b"", text)]}, {text: 1.5}, {text: text}, note=text)
    assert html.encode()
    assert "".join(parsed(html).text).count(r"a\x1b[2J\x00\udcff") == 8
    assert all(line.isprintable() for line in html.splitlines())


def test_metrics_over_seeds_are_means_with_standard_deviations():
    metrics = {
        "a": {"mean": 2.0, "sd": 0.25, "worst": 3.0, "seeds": [1.75, 2.25]},
        "b": {"mean": None, "sd": None, "worst": None, "seeds": [None]},
        "c": None,
    }
    text = "".join(parsed(write_html("x", {}, metrics, {})).text)
    assert "a2 ± 0.25" in text
    assert "b-" in text
    assert "c-" in text
