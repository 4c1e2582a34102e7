"""`Assignment`: the variant of an experiment that a session has."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Required

from pydantic import AfterValidator, ConfigDict, StrictBool, model_validator, with_config
from typing_extensions import TypedDict

from khive_persist.models.columns import MAX_ID_CHARACTERS
from khive_persist.models.experiment import Name, Variants
from khive_persist.models.node import Immutable
from khive_persist.models.purposes import ASSIGNMENTS, Purpose

Method = Literal["random", "named"]

RANDOM: Final = "random"
NAMED: Final = "named"
_ID_CHARACTERS: Final = 32


def _checked_session(value: str) -> str:
    if not value or len(value) > MAX_ID_CHARACTERS or "\0" in value:
        raise ValueError(f"a session's id has 1 to {MAX_ID_CHARACTERS} characters and no NUL")
    return value


SessionId = Annotated[str, AfterValidator(_checked_session)]


@with_config(ConfigDict(extra="allow"))
class AssignmentContent(TypedDict, total=False):
    """The content of an assignment. Unknown fields are kept.

    `method` says whether the variant was drawn (`random`: see `draw`), or somebody named it.
    `is_late` says whether something was recorded of the session's work before: see `has_begun`.
    `variants` are those of the experiment, with which the draw can be done again.
    """

    session_id: Required[SessionId]
    experiment: Required[Name]
    variant: Required[Name]
    method: Required[Method]
    is_late: Required[StrictBool]
    variants: Required[Variants]
    metadata: dict[str, Any]


class Assignment(Immutable):
    """One session's variant of one experiment; its `id` is made of the two. It never changes."""

    purpose: ClassVar[Purpose] = ASSIGNMENTS

    content: AssignmentContent

    @model_validator(mode="before")
    @classmethod
    def _with_its_id(cls, values: Any) -> Any:
        content = values.get("content") if isinstance(values, Mapping) else None
        if not isinstance(content, Mapping):
            return values
        names = content.get("experiment"), content.get("session_id")
        if not all(isinstance(name, str) for name in names):
            # What is wrong with them, the fields say.
            return values
        id = assignment_id(str(names[0]), str(names[1]))
        if values.get("id", id) != id:
            raise ValueError("the id of an assignment is made of its experiment and session")
        return {**values, "id": id}

    @model_validator(mode="after")
    def _of_a_variant(self) -> "Assignment":
        if self.content["variant"] not in {variant["name"] for variant in self.content["variants"]}:
            raise ValueError("the variant is none of the experiment's")
        return self


def assignment_id(experiment: str, session_id: str) -> str:
    """Return the id of a session's one assignment in an experiment: 32 hexadecimal digits."""
    text = f"khive-persist assignment\0{experiment}\0{session_id}"
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_CHARACTERS]
