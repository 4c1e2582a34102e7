"""`Columns`: the fields that each record has, as its row has them."""

from datetime import datetime
from typing import Annotated, Any, ClassVar
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from khive_persist import clock

MAX_ID_CHARACTERS = 200


def _checked_id(value: str) -> str:
    if not value or len(value) > MAX_ID_CHARACTERS or "\0" in value:
        raise ValueError(f"an id has 1 to {MAX_ID_CHARACTERS} characters and no NUL")
    value.encode()
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return clock.as_utc(value)
    except OverflowError as error:
        raise ValueError("the time is out of range in UTC") from error


def _new_id() -> str:
    # Not one that begins with the time: the names of the mirror's files begin with these 8 digits.
    return str(uuid4())


class Columns(BaseModel):
    """The columns of a row, and the version of its content. See `Node`."""

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    content_version: ClassVar[int] = 1

    id: Annotated[str, AfterValidator(_checked_id)] = Field(default_factory=_new_id)
    content: Any = None
    node_metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: Annotated[datetime, AfterValidator(_in_utc)] = Field(default_factory=clock.now)
    embedding: list[float] | None = None
