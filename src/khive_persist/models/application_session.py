"""`ApplicationSession`: one session of an application that keeps its sessions here."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal, Required, Self

from pydantic import ConfigDict, Field, model_validator, with_config
from typing_extensions import TypedDict

from khive_persist import clock
from khive_persist.models.active_store import bound
from khive_persist.models.field_types import Instant
from khive_persist.models.node import Node
from khive_persist.models.purposes import APPLICATION_SESSIONS, Purpose

Status = Literal["active", "completed"]

ACTIVE: Final = "active"
COMPLETED: Final = "completed"


@with_config(ConfigDict(extra="allow"))
class ApplicationSessionContent(TypedDict, total=False):
    """The content of an application's session. Unknown fields are kept.

    `participant` works through a `scenario` of an `application`, as one of a `group`. `version`
    counts the states of the session, from 1: each update through the store makes the next.
    """

    session_id: Required[str]
    application: str
    participant: str
    scenario: str
    group: str
    status: Required[Status]
    version: Required[Annotated[int, Field(ge=1)]]
    started_at: Required[Instant]
    updated_at: Instant
    completed_at: Instant
    outcome: Any
    summary: Any
    metadata: dict[str, Any]


class ApplicationSession(Node):
    """A session. Its `id` is its `session_id`; of the two one is enough.

    A new one is active, of version 1, and starts when it is made, unless its content says
    otherwise.
    """

    purpose: ClassVar[Purpose] = APPLICATION_SESSIONS

    content: ApplicationSessionContent

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, values: Any) -> Any:
        content = values.get("content") if isinstance(values, Mapping) else None
        if not isinstance(content, Mapping):
            return values
        id = values.get("id", content.get("session_id"))
        if id is None:
            id = cls.model_fields["id"].get_default(call_default_factory=True)
        if content.get("session_id", id) != id:
            raise ValueError("the id of a session is its session_id")
        started_at = clock.from_column(content.get("started_at")) or clock.now()
        created_at = values.get("created_at", started_at)
        begun = {"session_id": id, "status": ACTIVE, "version": 1, "started_at": created_at}
        return {"created_at": created_at, **values, "id": id, "content": {**begun, **content}}

    @classmethod
    async def start(cls, fields: Mapping[str, Any]) -> Self:
        """Begin a session. See `ApplicationSessionStore.start`."""
        async with bound(cls) as store:
            return (await store.start(fields)).session

    async def update(self, fields: Mapping[str, Any]) -> Self:
        """Save the next version of this session. See `ApplicationSessionStore.update`."""
        async with bound(type(self)) as store:
            return await store.update(self.id, fields, self.content["version"])

    async def complete(self, fields: Mapping[str, Any]) -> Self:
        """Complete this session. See `ApplicationSessionStore.complete`."""
        async with bound(type(self)) as store:
            return await store.complete(self.id, fields)
