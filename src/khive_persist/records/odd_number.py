"""Numbers that are kept although they cannot be right, and the reason of each."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from pydantic import ValidationError, WithJsonSchema, WrapValidator


class Range(NamedTuple):
    """The numbers that a field may have.

    Attributes:
        highest: The largest; the smallest is 0.
        is_whole: Whether they have no fraction.
    """

    highest: float = math.inf
    is_whole: bool = False

    def objection(self, value: Any) -> str:
        """The reason for which a value is none of them; an empty string for none, and of None."""
        if value is None or (
            type(value) is float and 0 <= value <= self.highest and not self.is_whole
        ):
            return ""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is no number"
        if self.is_whole and value != math.floor(value):
            return "is no whole number"
        if not 0 <= value <= self.highest:
            return "is less than 0" if self.highest == math.inf else f"is not 0 to {self.highest:g}"
        return ""


def kept(description: str) -> tuple[WrapValidator, WithJsonSchema]:
    """Keep a value that the type before it refuses.

    Args:
        description: What the schema says of the field.
    """
    schema = {"description": f"{description}; others are kept, and named in node_metadata"}
    return WrapValidator(_kept), WithJsonSchema(schema)


def _kept(value: Any, validate: Callable[[Any], Any]) -> Any:
    try:
        return validate(value)
    except ValidationError:
        # JSON has no spelling of NaN and of infinity.
        is_spelled = not isinstance(value, float) or math.isfinite(value)
        return value if is_spelled else str(value)
