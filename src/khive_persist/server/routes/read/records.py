"""`GET /v1/events`, `/v1/plans` and `/v1/{purpose}`: the rows of a purpose, the newest first."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import anyio.to_thread

from khive_persist.clock import InstantText
from khive_persist.errors import NotFoundError
from khive_persist.models.assignment import Assignment
from khive_persist.models.criteria import filters_of, has_failed
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import EVENT_FILES, PLANNER_SESSIONS, Purpose
from khive_persist.models.query import Filter, column
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.filters import (
    of_plans,
    of_session,
    of_times,
    of_tool,
    of_type,
)
from khive_persist.server.routes.read.listing import Listing, Page, named_columns
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.records import CLASSES, no_records
from khive_persist.sessions.event_subject import subject_of
from khive_persist.store import codec
from khive_persist.store.keyset_pages import NewestRow, PageKey, newest
from khive_persist.store.large_json import shown_column
from khive_persist.transfer.columns import columns_of
from khive_persist.transfer.writing import Table, all_columns, csv

PAYLOAD: Final = Parameter(
    "payload", "boolean", "Whether content has its payload, all that the tool sent.", default=False
)
BUILT_IN: Final[tuple[type[Node], ...]] = (HookEvent, *CLASSES.values(), Assignment)
# A column that lists of events have beside their fields.
SUBJECT: Final = "subject"
SUBJECT_CHARACTERS: Final = 500
FAILED: Final = Parameter("failed", "boolean", "true: only what failed. false: only what did not.")


class RecordItem(NamedTuple):
    """A record. An old row may have no JSON in `content`; it is shown as the text that it is."""

    id: str
    created_at: InstantText
    content: Any
    node_metadata: Any


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""

    async def events(query: ReadRequest) -> Listing:
        files = HookEvent.purposes_of(query["tool"])
        filters = [*await _filters(project, readers, query), *of_type(query), *of_tool(query)]
        filters += filters_of(tool_name=query["tool_name"])
        if query["failed"] is not None:
            filters.append(has_failed() if query["failed"] else ~has_failed())
        # The prompt of an event is in its payload alone.
        needs_payload = query["payload"] or SUBJECT in named_columns(query["columns"])
        without = None if needs_payload else "payload"
        more = {SUBJECT: _subject}
        return row_listing(readers, HookEvent, files, filters, without=without, more=more)

    async def event(query: ReadRequest) -> Any:
        row = await _find(readers, [*EVENT_FILES.values()], query.path["id"])
        if row is None:
            raise NotFoundError("there is no event of that id")
        return document(row)

    async def plans(query: ReadRequest) -> Listing:
        filters = [*await _filters(project, readers, query), *of_plans(query)]
        return row_listing(readers, PlannerSession, [PLANNER_SESSIONS], filters)

    async def of_purpose(query: ReadRequest) -> Listing:
        record, purpose = await _purpose(project, query.path["purpose"])
        return row_listing(readers, record, [purpose], await _filters(project, readers, query))

    times = (parameters.SINCE, parameters.UNTIL)
    event_filters = (
        parameters.SESSION, parameters.TYPE, parameters.TOOL, parameters.TOOL_NAME, *times, FAILED,
        PAYLOAD,
    )  # fmt: skip
    plan_filters = (
        parameters.SESSION,
        parameters.COMPLEXITY,
        parameters.MIN_CONFIDENCE,
        parameters.MAX_COST,
        *times,
    )
    return [
        Operation(
            "/v1/events",
            events,
            "Events of the tools, the newest first.",
            event_filters,
            RecordItem,
            True,
        ),
        Operation("/v1/events/{id}", event, "One event, with its payload.", (), RecordItem),
        Operation("/v1/plans", plans, "Plans, the newest first.", plan_filters, RecordItem, True),
        Operation(
            "/v1/{purpose}",
            of_purpose,
            "Records of a purpose, the newest first: messages, outcomes, assignments, your own.",
            (parameters.SESSION, *times),
            RecordItem,
            True,
        ),
    ]


def document(row: NewestRow) -> dict[str, Any]:
    """Return a row as the answers have it."""
    id, content, metadata, _, _ = row.row
    item = RecordItem(id, row.key.created_at, shown_column(content), codec.column(metadata))
    return item._asdict()


async def _filters(project: Project, readers: ReaderPool, query: ReadRequest) -> list[Filter]:
    return [*await of_session(project, readers, query), *of_times(query)]


def row_listing(
    readers: ReaderPool,
    record: type[Node],
    purposes: Sequence[Purpose],
    filters: Sequence[Filter] = (),
    shown: Callable[[NewestRow], dict[str, Any]] = document,
    *,
    without: str | None = None,
    more: Mapping[str, Callable[[NewestRow], Any]] | None = None,
) -> Listing:
    """Return the rows of some purposes as a list, the newest first, `shown` as JSON has them.

    Args:
        without: A field of `content` that is left out.
        more: Further columns, for who names them.
    """
    tables = {purpose: Table(purpose, tuple(columns_of(record, purpose))) for purpose in purposes}
    # The events of one tool are read through the files that are open for those of all.
    files = [*EVENT_FILES.values()] if record is HookEvent else purposes

    async def page(position: Sequence[Any] | None, limit: int) -> Page:
        key = None if position is None else PageKey(*position)
        async with readers.reader(*files) as reader:
            rows, following = await newest(reader, purposes, filters, key, limit, without=without)
        return Page(rows, following)

    def cells(item: NewestRow) -> list[Any]:
        row = (*item.row[:3], item.key.created_at, item.row[4])
        return csv.cells(tables[item.purpose], columns, row)

    columns = all_columns([*tables.values()])
    name = "events" if record is HookEvent else purposes[0].view or purposes[0].name
    return Listing(page, (str, str), shown, csv.names(columns), cells, more or {}, _size, name)


def _subject(item: NewestRow) -> str:
    content = codec.column(item.row[1])
    return subject_of(content)[:SUBJECT_CHARACTERS] if isinstance(content, dict) else ""


def _size(item: NewestRow) -> int:
    return len(item.row[1] or "")


async def _find(readers: ReaderPool, purposes: Sequence[Purpose], id: str) -> NewestRow | None:
    filters = [column("id") == id]
    async with readers.reader(*purposes) as reader:
        rows, _ = await newest(reader, purposes, filters, None, 1)
    return rows[0] if rows else None


async def _purpose(project: Project, name: str) -> tuple[type[Node], Purpose]:
    kinds = {
        purpose.name: (record, purpose) for record in BUILT_IN for purpose in record.purposes()
    }
    kinds |= {word: (record, record.purpose) for word, record in CLASSES.items()}
    if name in kinds:
        return kinds[name]
    for purpose in await anyio.to_thread.run_sync(known_purposes, project):
        if purpose.name == name:
            return Node, purpose
    raise no_records(name)
