"""The HTML file of a report: figures, captions and a table of metrics, without scripts or external files."""

from collections.abc import Mapping, Sequence
from html import escape
from string import Template
from typing import Any

from jaxgen.errors import printable
from jaxgen.report.section import FigureFile

STYLE = """
body { font-family: system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
section { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
h2 { flex-basis: 100%; margin: 2rem 0 0; border-bottom: 1px solid #ccc; }
figure { margin: 0; flex: 1 1 22rem; max-width: 100%; }
img { max-width: 100%; height: auto; }
figcaption, td, th, li { font-size: 0.9rem; line-height: 1.4; }
figcaption { max-width: 60ch; }
table { border-collapse: collapse; }
td, th { padding: 0.15rem 1rem 0.15rem 0; text-align: left; border-bottom: 1px solid #eee; }
"""

HTML = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<h1>$title</h1>
$note
$sections
<section>
<h2>Metrics</h2>
$metrics
</section>
<section>
<h2>Sections that are left out</h2>
<ul>
$left_out
</ul>
</section>
</body>
</html>
""")


def write_html(
    title: str,
    sections: Mapping[str, Sequence[FigureFile]],
    metrics: Mapping[str, Any],
    left_out: Mapping[str, str],
    *,
    note: str = "",
) -> str:
    """Return the HTML of a report.

    Args:
        title: title of the report.
        sections: heading -> figures, which are files in the same folder.
        metrics: metric name -> number, or `mean` and `sd` over seeds; None where it is not finite.
        left_out: heading -> reason why the section is left out.
        note: paragraph below the title; empty for none.

    Returns:
        An HTML 5 document.

    Example:
        >>> html = write_html("a < b", {"Samples": [FigureFile("x.png", b"", "Two & two.")]}, {"mmd": 0.25}, {})
        >>> [line for line in html.splitlines() if "figure>" in line or "<td>" in line or "<h1>" in line]
        ['<h1>a &lt; b</h1>', '<figure><img src="x.png" alt="Two &amp; two.">',
         '<figcaption>Two &amp; two.</figcaption></figure>', '<tr><td>mmd</td><td>0.25</td></tr>']
    """
    return HTML.substitute(
        title=_escaped(title),
        note=f"<p>{_escaped(note)}</p>" if note else "",
        style=STYLE,
        sections="\n".join(_section(heading, figures) for heading, figures in sections.items() if figures),
        metrics=_table(metrics),
        left_out="\n".join(f"<li>{_escaped(heading)}: {_escaped(reason)}</li>" for heading, reason in left_out.items()),
    )


def _escaped(text: str) -> str:
    """Text that is neither read as HTML nor contains characters that HTML and UTF-8 do not allow."""
    return escape(printable(text))


def _section(heading: str, figures: Sequence[FigureFile]) -> str:
    elements = [
        f'<figure><img src="{_escaped(figure.name)}" alt="{_escaped(_first_sentence(figure.caption))}">\n'
        f"<figcaption>{_escaped(figure.caption)}</figcaption></figure>"
        for figure in figures
    ]
    return "\n".join(["<section>", f"<h2>{_escaped(heading)}</h2>", *elements, "</section>"])


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".") + "."


def _table(metrics: Mapping[str, Any]) -> str:
    rows = [f"<tr><td>{_escaped(name)}</td><td>{_formatted(value)}</td></tr>" for name, value in metrics.items()]
    return "\n".join(["<table>", *rows, "</table>"])


def _formatted(value: Any) -> str:
    if not isinstance(value, Mapping):
        return "-" if value is None else f"{value:.5g}"
    mean, sd = _formatted(value["mean"]), value["sd"]
    return mean if sd is None else f"{mean} &plusmn; {sd:.2g}"
