"""The schema of an answer is made of its Python type."""

from datetime import datetime
from typing import Any, NamedTuple

import pytest

from khive_persist.clock import InstantText
from khive_persist.server.openapi.answers import answer_schema
from tests.server import api_types


class Lap(NamedTuple):
    """One lap.

    Attributes:
        number: Its number; None for one
            that does not count.
        at: Its start.
    """

    number: int | None
    at: datetime
    best: InstantText | None = None


class Race(NamedTuple):
    laps: dict[str, tuple[Lap, ...]]


def test_a_named_tuple_is_the_object_of_its_fields_as_the_docstring_describes_them() -> None:
    components: dict[str, Any] = {}
    assert answer_schema(list[Race], components) == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Race"},
    }
    lap = components["Lap"]
    fields = lap["properties"]
    assert lap["description"] == "One lap."
    assert lap["required"] == ["number", "at", "best"]
    assert lap["additionalProperties"] is False
    assert fields["number"] == {
        "anyOf": [{"type": "integer"}, {"type": "null"}],
        "description": "Its number; null for one that does not count.",
    }
    assert fields["at"]["description"] == "Its start."
    assert fields["at"]["pattern"] == fields["best"]["anyOf"][0]["pattern"]
    laps = components["Race"]["properties"]["laps"]["additionalProperties"]
    assert laps == {"type": "array", "items": {"$ref": "#/components/schemas/Lap"}}


def test_two_answers_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Lap"):
        answer_schema(Lap, {"Lap": {"type": "object"}})


def test_the_types_of_the_dashboard_are_made_of_the_document_of_today() -> None:
    assert api_types.FILE.read_text() == api_types.text(), "make api-types"
