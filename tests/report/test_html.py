"""The page is HTML that any parser takes, whatever the captions say."""

from html.parser import HTMLParser

import pytest

from jaxgen.report.html import write_html
from jaxgen.report.section import FigureFile

VOID = {"meta", "img", "link", "br"}


class Strict(HTMLParser):
    """Every tag is closed where it should be; the text is kept."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.sources = [], [], []

    def handle_starttag(self, tag, attributes):
        assert tag != "script"
        if tag not in VOID:
            self.open.append(tag)
        self.sources += [value for name, value in attributes if name == "src"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def parsed(page):
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


@pytest.mark.parametrize("text", ["a < b & c", '<script>alert("x")</script>', "$title costs 5 $"])
def test_whatever_is_said_is_text(text):
    page = parsed(write_html(text, {text: [FigureFile("x.png", b"", text)]}, {text: 1.5}, {text: text}))
    said = "".join(page.text)
    assert said.count(text) == 7  # Title twice, heading, caption, number, and what does not apply with its reason.
    assert page.sources == ["x.png"]


def test_numbers_are_means_with_deviations():
    numbers = {
        "a": {"mean": 2.0, "sd": 0.25, "worst": 3.0, "runs": [1.75, 2.25]},
        "b": {"mean": None, "sd": None, "worst": None, "runs": [None]},
        "c": None,
    }
    text = "".join(parsed(write_html("x", {}, numbers, {})).text)
    assert "a2 ± 0.25" in text
    assert "b-" in text
    assert "c-" in text
