"""Turn a pydantic model, or a part of one, into JSON's types and Decimal."""

import math
from decimal import Decimal
from typing import Any

from pydantic import BaseModel


def model_json(model: BaseModel) -> Any:
    """Return a model in the form that validates: by alias, without computed fields."""
    return with_numbers(
        model.model_dump(mode="json", by_alias=True, round_trip=True, warnings=False), model
    )


def with_numbers(dumped: Any, python: Any) -> Any:
    """Return pydantic's JSON of a value with its Decimals, and with its NaN and infinities.

    pydantic makes text of the former and null of the latter: the writer must see them.
    """
    if dumped is None and isinstance(python, float) and not math.isfinite(python):
        return python
    if isinstance(python, Decimal):
        return python if dumped == str(python) else dumped
    if isinstance(python, dict) and isinstance(dumped, dict) and len(python) == len(dumped):
        pairs = zip(dumped.items(), python.values(), strict=True)
        return {key: with_numbers(value, original) for (key, value), original in pairs}
    if isinstance(python, list | tuple) and isinstance(dumped, list) and len(python) == len(dumped):
        return [with_numbers(*pair) for pair in zip(dumped, python, strict=True)]
    if isinstance(python, BaseModel):
        fields = python.model_dump(by_alias=True, round_trip=True, warnings=False)
        return with_numbers(dumped, fields)
    return dumped
