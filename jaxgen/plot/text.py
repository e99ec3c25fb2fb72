"""Text in arrays of pixels, and text that matplotlib must not read as a formula."""

from bisect import bisect_right
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgen.errors import printable
from jaxgen.typing import UInt8

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

BLACK, WHITE = 0, 255


def draw_text(text: str, *, size: int, width: int | None = None) -> UInt8[np.ndarray, "height width"]:
    """Draw a line of text, black on white.

    Args:
        text: the text; characters that cannot be printed are escaped.
        size: size of the font and height of the result in pixels.
        width: largest width in pixels, to which the text is cut, with an ellipsis; None for no limit.

    Returns:
        Grey values, [size, width of the text]; empty for an empty text.

    Example:
        >>> draw_text("seed 3", size=16).shape[0], draw_text("", size=16).shape
        (16, (16, 0))
    """
    from PIL import Image, ImageDraw

    text, font = printable(text), _font(size)

    def length(text: str) -> int:
        return int(np.ceil(font.getlength(text)))

    if width is not None and length(text) > width:
        kept = bisect_right(range(len(text)), width, key=lambda n: length(text[:n] + "…"))
        text = f"{text[: kept - 1]}…" if kept else ""
    if not text:
        return np.zeros((size, 0), np.uint8)
    image = Image.new("L", (length(text), size), WHITE)
    ImageDraw.Draw(image).text((0, size / 2), text, fill=BLACK, font=font, anchor="lm")
    return np.asarray(image)


def literal(text: str) -> str:
    r"""Return a text that matplotlib shows as it is: it reads formulas between two dollar signs.

    Args:
        text: e.g. the name of a metric or of a class, which a file may contain.

    Returns:
        The text with escaped dollar signs, and other characters that cannot be printed; after a space if it begins with
        an underscore, as legends leave out such names.

    Example:
        >>> print(literal("a $x$ loss"))
        a \$x\$ loss
    """
    shown = printable(text).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


@cache
def _font(size: int) -> "FreeTypeFont":
    """The font of matplotlib, which has the letters of many languages, with lines as high as the size."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), round(0.75 * size))
