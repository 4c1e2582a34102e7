"""The schema of an answer is made of its Python type."""

from datetime import datetime
from typing import Any, NamedTuple, NotRequired, Required

import pytest
from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

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


class Split(TypedDict):
    at: str
    note: NotRequired[str]


@with_config(ConfigDict(extra="allow"))
class OpenSplit(TypedDict, total=False):
    at: Required[str]


def test_a_field_of_a_typed_dict_may_be_missing_and_others_allowed() -> None:
    components: dict[str, Any] = {}
    answer_schema(Split | OpenSplit, components)
    split, open_split = components["Split"], components["OpenSplit"]
    assert (split["required"], open_split["required"]) == (["at"], ["at"])
    assert split["properties"]["note"] == {"type": "string"}
    assert (split["additionalProperties"], open_split["additionalProperties"]) == (False, True)


def test_two_answers_of_one_name_are_refused() -> None:
    with pytest.raises(TypeError, match="Lap"):
        answer_schema(Lap, {"Lap": {"type": "object"}})


def test_the_types_of_the_dashboard_are_made_of_the_document_of_today() -> None:
    assert api_types.FILE.read_text() == api_types.text(), "make api-types"
