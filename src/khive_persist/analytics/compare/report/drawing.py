"""The drawing of plots: as SVG whose names are escaped text, in the reader's own fonts."""

import warnings
from functools import partial
from io import BytesIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS: Final = ("#364fc7", "#a65e00", "#0b7285", "#862e9c", "#2b8a3e", "#c92a2a", "#5c636a")
_NAME_CHARACTERS: Final = 24
_STYLE: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "khive", "font.size": 9,
                 "axes.spines.top": False, "axes.spines.right": False}  # fmt: skip
# The style of every plot, within it.
plot_style: Final = partial(mpl.rc_context, _STYLE)


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG: of the same figure the same bytes."""
    output = BytesIO()
    with warnings.catch_warnings():
        # It measures text in a font of its own, which has no letters of many scripts.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        figure.savefig(output, format="svg", metadata={"Date": None})
    return output.getvalue()


def label(text: str) -> str:
    """Return a name from records as a label, of at most 24 characters."""
    # What lies between dollars would be read as mathematics.
    text = "".join(c if c.isprintable() else "?" for c in text).replace("$", "\\$")
    return text if len(text) <= _NAME_CHARACTERS else text[: _NAME_CHARACTERS - 1] + "…"
