"""`Answer`: the envelope of every answer, with the items in it."""

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

from khive_persist.sessions.contradictions import ContradictionKind

Role = Literal["user", "assistant", "tool", "planner", "person", "client", "application", "sum"]
Status = Literal["ok", "nothing", "error"]


class Source(BaseModel):
    """The record that an item comes from."""

    project: Annotated[str, Field(description="The directory of the project.")]
    purpose: Annotated[str, Field(description="The kind of record, which names its file.")]
    record_id: Annotated[str, Field(description="The record's id; empty for a sum of many.")] = ""
    session_id: Annotated[str, Field(description="The session; empty for none.")] = ""
    link: Annotated[str, Field(description="Opens the entry in the dashboard.")] = ""


class Later(BaseModel):
    """A later record that contradicts an item."""

    kind: ContradictionKind | Literal["failed again"]
    time: str
    session_id: str
    record_id: str


class Item(BaseModel):
    """One result, with where it comes from."""

    rank: Annotated[int, Field(description="Its place among the results, from 1.")]
    source: Source
    role: Annotated[Role, Field(description="Who said or did it.")]
    time: Annotated[str, Field(description="When, in UTC; empty where that is not known.")] = ""
    client: str = ""
    agent_id: Annotated[str, Field(description="The subagent; empty for the main agent.")] = ""
    text: Annotated[str, Field(description="Quoted from the record, between fences.")] = ""
    cut: Annotated[bool, Field(description="Whether the text is only a part.")] = False
    contradicted_by: Annotated[
        list[Later], Field(description="What was recorded later and contradicts it.")
    ] = []


ItemType = TypeVar("ItemType", bound=Item)


class Problem(BaseModel):
    """The reason why there is no answer."""

    code: str
    message: str
    hint: str = ""


class Answer(BaseModel, Generic[ItemType]):
    """An answer: the results, how many there are in all, and how to ask for the rest."""

    status: Annotated[
        Status, Field(description="`nothing` where nothing matches, `error` where it failed.")
    ]
    notice: Annotated[str, Field(description="What the fences in texts mean.")] = ""
    project: Annotated[str, Field(description="The project that was asked.")] = ""
    matched: Annotated[int, Field(description="The number of all that match.")] = 0
    shown: Annotated[int, Field(description="The number of those that are here.")] = 0
    truncated: Annotated[bool, Field(description="Whether anything was left out or cut.")] = False
    next_call: Annotated[str, Field(description="How to ask for the rest.")] = ""
    note: Annotated[str, Field(description="What else is to be known of the answer.")] = ""
    error: Problem | None = None
    items: list[ItemType] = []
