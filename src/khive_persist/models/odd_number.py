"""Find numbers that are kept although they cannot be right, and the reason of each."""

import math
import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_LARGEST: Final = sys.float_info.max
_BOUNDED: Final = "khive_persist_bounded"


class Bounds(NamedTuple):
    """The numbers of a field, from 0; in its annotation, others are kept as they are.

    Attributes:
        highest: The largest number.
        is_whole: Whether they have no fraction.
    """

    highest: float = _LARGEST
    is_whole: bool = False

    def objection(self, value: Any) -> str:
        """Return the reason why a value is none of them; "" where it is one, and for None."""
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            return "is no number"
        if self.is_whole and math.isfinite(value) and value != math.floor(value):
            return "is no whole number"
        if 0 <= value <= self.highest:
            return ""
        if self.highest < _LARGEST:
            return f"is not 0 to {self.highest:g}"
        return "is less than 0" if value < 0 else "is too large"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        # In a union, as a function of Python's would be called for each number of each record.
        sound: CoreSchema = (
            core_schema.int_schema(ge=0)
            if self.is_whole
            else core_schema.float_schema(ge=0, le=self.highest, allow_inf_nan=False)
        )
        return core_schema.union_schema(
            [
                core_schema.nullable_schema(sound),
                core_schema.no_info_plain_validator_function(_spelled),
            ],
            mode="left_to_right",
            metadata={_BOUNDED: True},
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        kind = "A whole number" if self.is_whole else "A number"
        to = "" if self.highest == _LARGEST else f" to {self.highest:g}"
        return {"description": f"{kind} from 0{to}; others are kept, node_metadata names them."}


def within_bounds(schema: Any) -> Any:
    """Return a core schema that refuses a number that its annotation's `Bounds` would keep."""
    if isinstance(schema, dict):
        if _BOUNDED in schema.get("metadata", ()):
            return schema["choices"][0]
        return {name: within_bounds(part) for name, part in schema.items()}
    return list(map(within_bounds, schema)) if isinstance(schema, list) else schema


def find_odd(values: Any, bounds: Mapping[str, Bounds]) -> dict[str, str]:
    """Return the fields whose numbers cannot be right, each with the reason."""
    odd: dict[str, str] = {}
    if isinstance(values, dict):
        for name, bound in bounds.items():
            if reason := bound.objection(values.get(name)):
                odd[name] = reason
    return odd


def _spelled(value: Any) -> Any:
    # JSON has no spelling of NaN and of infinity.
    is_spelled = not isinstance(value, float) or math.isfinite(value)
    return value if is_spelled else str(value)
