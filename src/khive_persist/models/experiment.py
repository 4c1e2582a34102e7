"""`Experiment`: the variants between which sessions are divided, and how."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Required

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    model_validator,
    with_config,
)
from typing_extensions import TypedDict

from khive_persist.models.node import Immutable
from khive_persist.models.purposes import EXPERIMENTS, Purpose

MOST_VARIANTS: Final = 100


def _checked_weight(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise ValueError("a weight is a finite number of more than 0")
    return value


NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"
# It stands in paths, in `experiment:NAME` and in `NAME=WEIGHT`.
Name = Annotated[str, Field(pattern=NAME)]
# An integer stays one.
Weight = Annotated[
    float,
    PlainValidator(_checked_weight, json_schema_input_type=Annotated[float, Field(gt=0)]),
]


@with_config(ConfigDict(extra="forbid"))
class Variant(TypedDict):
    """One variant: its share of the sessions is its weight by the sum of all weights."""

    name: Name
    weight: Weight


def _distinct(variants: list[Variant]) -> list[Variant]:
    names = [variant["name"] for variant in variants]
    if len(set(names)) < len(names):
        raise ValueError("two variants have one name")
    return variants


Variants = Annotated[
    list[Variant], Field(min_length=2, max_length=MOST_VARIANTS), AfterValidator(_distinct)
]


@with_config(ConfigDict(extra="allow"))
class ExperimentContent(TypedDict, total=False):
    """The content of an experiment. Unknown fields are kept.

    Names have 1 to 100 ASCII letters, digits, `_`, `.` and `-`, and begin with a letter or digit.
    There are 2 to 100 variants. Their order counts: a draw goes through them in it.
    """

    name: Required[Name]
    variants: Required[Variants]
    note: str
    metadata: dict[str, Any]


class Experiment(Immutable):
    """One experiment. Its `id` is its name; of the two one is enough.

    It never changes: weights that change midway would give groups that differ in more than the
    variant. Another design is another experiment.
    """

    purpose: ClassVar[Purpose] = EXPERIMENTS

    content: ExperimentContent

    @model_validator(mode="before")
    @classmethod
    def _with_its_name(cls, values: Any) -> Any:
        content = values.get("content") if isinstance(values, Mapping) else None
        if not isinstance(content, Mapping):
            return values
        name = values.get("id", content.get("name"))
        if content.get("name", name) != name:
            raise ValueError("the id of an experiment is its name")
        if name is None:
            # The fields say what is missing.
            return values
        return {**values, "id": name, "content": {"name": name, **content}}
