"""Values that several kinds of records have: a number of any kind, and an instant."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainValidator, model_validator

from khive_persist import clock
from khive_persist.models.node import Node


def _checked_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a finite number is needed")
    return value


def _spelled(value: Any) -> Any:
    instant = value if isinstance(value, datetime) else clock.from_column(value)
    if instant is None or isinstance(value, bool):
        raise ValueError("a time is needed, as 2026-11-21 15:04:05 or in ISO 8601")
    return clock.to_text(instant)


# An integer stays one, and text is none.
Number = Annotated[float, PlainValidator(_checked_number, json_schema_input_type=float)]
# Given as a datetime, ISO text or epoch seconds; kept as UTC text, as `created_at` is.
Instant = Annotated[str, BeforeValidator(_spelled)]


class TimeSeries(Node):
    """A record with a time in its content: its `created_at` is that, unless it is given.

    Attributes:
        time_field: The field of `content` that has the time.
    """

    time_field: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _with_its_time(cls, values: Any) -> Any:
        content = values.get("content") if isinstance(values, Mapping) else None
        if isinstance(content, Mapping) and "created_at" not in values:
            instant = clock.from_column(content.get(cls.time_field))
            if instant is not None:
                return {**values, "created_at": instant}
        return values
