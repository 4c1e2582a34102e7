"""The elements of a report's page: HTML in one file, that asks no network and has no script.

Every text that comes from records is escaped here, and nowhere else.
"""

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import Final

Cell = str | float | int | None

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --dim: #777; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid var(--line); }
.scroll { overflow-x: auto; } .definition { color: var(--dim); margin: 0; }
img { max-width: 100%; background: #fff; border-radius: 4px; margin: .4rem 0; }
details { margin: .5rem 0; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# What a page may do: draw the pictures that are in it, in the style that is in it.
POLICY: Final = (
    f"default-src 'none'; img-src data:; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none';"
    " form-action 'none'"
)


def document(title: str, parts: Iterable[str]) -> str:
    """Return a whole page with these parts, each of them HTML already."""
    head = [
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text(title)}</title>", f"<style>{_STYLE}</style>", "</head>", "<body>",
    ]  # fmt: skip
    return "\n".join([*head, *parts, "</body>", "</html>", ""])


def picture(svg: bytes | None, says: str) -> Iterable[str]:
    """Yield an SVG as an image, which cannot run anything; nothing where there is none."""
    if svg is not None:
        data = base64.b64encode(svg).decode()
        yield f'<img alt="{text(says)}" src="data:image/svg+xml;base64,{data}">'


def table(names: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterable[str]:
    """Yield a table; what is None is an empty cell."""
    yield '<div class="scroll"><table><thead><tr>'
    yield "".join(f"<th>{text(name)}</th>" for name in names)
    yield "</tr></thead><tbody>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{text(_cell(cell))}</td>" for cell in row) + "</tr>"
    yield "</tbody></table></div>"


def text(value: str) -> str:
    """Text as HTML."""
    return html.escape(value)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
