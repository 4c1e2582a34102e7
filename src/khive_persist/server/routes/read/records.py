"""`GET /v1/events`, `/v1/plans` and `/v1/{purpose}`: the rows of a purpose, the newest first."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import anyio.to_thread

from khive_persist.errors import NotFoundError
from khive_persist.models.assignment import Assignment
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import HOOK_EVENTS, PLANNER_SESSIONS, Purpose
from khive_persist.models.query import Filter, column, field
from khive_persist.server.context import Serving
from khive_persist.server.routes.read import parameters as given
from khive_persist.server.routes.read.filters import of_plans, of_session, of_times, of_type
from khive_persist.server.routes.read.listing import Listing, Page
from khive_persist.server.routes.read.operations import Asked, Operation
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.schemas import EVENT, PLAN, RECORD
from khive_persist.server.routes.records import CLASSES
from khive_persist.store import codec
from khive_persist.store.keyset_pages import NewestRow, Project, newest
from khive_persist.transfer.columns import columns_of
from khive_persist.transfer.writing import Table, all_columns
from khive_persist.transfer.writing.csv import head, line_of

PAYLOAD: Final = Parameter(
    "payload", "boolean", "Whether content has its payload, all that the tool sent.", default=False
)
BUILT_IN: Final[tuple[type[Node], ...]] = (HookEvent, *CLASSES.values(), Assignment)
FAILED: Final = Parameter("failed", "boolean", "true: only what failed. false: only what did not.")


def operations(serving: Serving) -> list[Operation]:
    """Return what this group answers."""

    async def events(asked: Asked) -> Listing:
        tools = (
            HOOK_EVENTS if asked["tool"] is None else {asked["tool"]: HOOK_EVENTS[asked["tool"]]}
        )
        filters = [*await _filters(serving, asked), *of_type(asked)]
        if asked["failed"] is not None:
            failed = field("success") == False  # noqa: E712 - a filter
            filters.append(failed if asked["failed"] else ~failed)
        without = None if asked["payload"] else "payload"
        return _listing(serving, HookEvent, [*tools.values()], filters, without)

    async def event(asked: Asked) -> Any:
        found = await _find(serving, [*HOOK_EVENTS.values()], asked.path["id"])
        if found is None:
            raise NotFoundError("there is no event of that id")
        return document(found)

    async def plans(asked: Asked) -> Listing:
        filters = [*await _filters(serving, asked), *of_plans(asked)]
        return _listing(serving, PlannerSession, [PLANNER_SESSIONS], filters, None)

    async def of_purpose(asked: Asked) -> Listing:
        record, purpose = await _purpose(serving, asked.path["purpose"])
        return _listing(serving, record, [purpose], await _filters(serving, asked), None)

    times = (given.SINCE, given.UNTIL)
    event_filters = (given.SESSION, given.TYPE, given.TOOL, *times, FAILED, PAYLOAD)
    plan_filters = (given.SESSION, given.COMPLEXITY, given.MIN_CONFIDENCE, given.MAX_COST, *times)
    return [
        Operation(
            "/v1/events",
            events,
            "Events of the tools, the newest first.",
            event_filters,
            EVENT,
            True,
        ),
        Operation("/v1/events/{id}", event, "One event, with its payload.", (), EVENT),
        Operation("/v1/plans", plans, "Plans, the newest first.", plan_filters, PLAN, True),
        Operation(
            "/v1/{purpose}",
            of_purpose,
            "Records of a purpose, the newest first: messages, outcomes, assignments, your own.",
            (given.SESSION, *times),
            RECORD,
            True,
        ),
    ]


def document(one: NewestRow) -> dict[str, Any]:
    """A row as the answers have it."""
    id, content, metadata, _, _ = one.row
    return {
        "id": id,
        "created_at": one.project.created_at,
        "content": codec.column(content),
        "node_metadata": codec.column(metadata),
    }


async def _filters(serving: Serving, asked: Asked) -> list[Filter]:
    return [*await of_session(serving, asked), *of_times(asked)]


def _listing(
    serving: Serving,
    record: type[Node],
    purposes: Sequence[Purpose],
    filters: Sequence[Filter],
    without: str | None,
) -> Listing:
    tables = {purpose: Table(purpose, tuple(columns_of(record, purpose))) for purpose in purposes}
    # The events of one tool are read through the files that are open for those of all.
    files = [*HOOK_EVENTS.values()] if record is HookEvent else purposes

    async def page(after: Sequence[Any] | None, limit: int) -> Page:
        project = None if after is None else Project(*after)
        async with serving.reading.reader(*files) as reader:
            rows, following = await newest(
                reader, purposes, filters, project, limit, without=without
            )
        return Page(rows, following)

    def line(one: NewestRow) -> bytes:
        row = (*one.row[:3], one.project.created_at, one.row[4])
        return line_of(tables[one.purpose], columns, row)

    columns = all_columns([*tables.values()])
    return Listing(page, (str, str), document, partial(head, columns), line)


async def _find(serving: Serving, purposes: Sequence[Purpose], id: str) -> NewestRow | None:
    wanted = [column("id") == id]
    async with serving.reading.reader(*purposes) as reader:
        rows, _ = await newest(reader, purposes, wanted, None, 1)
    return rows[0] if rows else None


async def _purpose(serving: Serving, name: str) -> tuple[type[Node], Purpose]:
    known = {
        purpose.name: (record, purpose) for record in BUILT_IN for purpose in record.purposes()
    }
    known |= {word: (record, record.purpose) for word, record in CLASSES.items()}
    if name in known:
        return known[name]
    for purpose in await anyio.to_thread.run_sync(known_purposes, serving.project):
        if purpose.name == name:
            return Node, purpose
    raise NotFoundError(
        f"no records {name[:80]!r} here",
        hint="a kind of your own is known once its class was opened in this project",
    )
