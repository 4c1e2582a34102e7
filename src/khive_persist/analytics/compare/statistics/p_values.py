"""The least p-value that is told, and the spelling of p-values.

The studentised range is integrated to about 1e-12, and no model of sessions holds so far out, so
that a smaller number says nothing more than that it is small.
"""

from typing import Any, Final

LEAST: Final = 1e-12
# What a field that holds a p-value is called.
NAMES: Final = frozenset({"p", "p_holm", "p_bh"})
_DIGITS: Final = 4


def floored(value: Any) -> Any:
    """Figures whose p-values are raised to the least that can be told, at any depth."""
    if hasattr(value, "_asdict"):
        return value._replace(
            **{
                name: max(figure, LEAST)
                if name in NAMES and figure is not None
                else floored(figure)
                for name, figure in value._asdict().items()
            }
        )
    return [floored(item) for item in value] if isinstance(value, list) else value


def p_cell(p: float | None) -> str | float | None:
    """Return a p-value as a cell of a table: the least one as what it stands for."""
    if p is None:
        return None
    return f"< {LEAST:g}" if p <= LEAST else float(f"{p:.{_DIGITS}g}")


def p_text(p: float) -> str:
    """Return a p-value in words, as in p = 0.02 and p < 1e-12."""
    return f"p < {LEAST:g}" if p <= LEAST else f"p = {p:.3g}"
