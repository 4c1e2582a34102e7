"""How small a p-value can be told, and how it is written.

The studentised range is integrated to about 1e-12, and no model of sessions holds so far out, so
that a smaller number says nothing more than that it is small.
"""

from typing import Any, Final

LEAST: Final = 1e-12
# What a field that holds a p-value is called.
NAMES: Final = frozenset({"p", "p_holm", "p_bh"})
_DIGITS: Final = 4


def told(value: Any) -> Any:
    """Figures whose p-values are raised to the least that can be told, at any depth."""
    if hasattr(value, "_asdict"):
        return value._replace(
            **{
                name: max(one, LEAST) if name in NAMES and one is not None else told(one)
                for name, one in value._asdict().items()
            }
        )
    return [told(one) for one in value] if isinstance(value, list) else value


def shown(p: float | None) -> str | float | None:
    """A p-value as a cell of a table: the least one as what it stands for."""
    if p is None:
        return None
    return f"< {LEAST:g}" if p <= LEAST else float(f"{p:.{_DIGITS}g}")


def said(p: float) -> str:
    """A p-value in words, as in p = 0.02 and p < 1e-12."""
    return f"p < {LEAST:g}" if p <= LEAST else f"p = {p:.3g}"
