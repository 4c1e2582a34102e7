"""`GET` of sessions and of what is in them: one, lists of them, and whether both copies agree."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from khive_persist.models.application_session import ACTIVE, COMPLETED, ApplicationSession
from khive_persist.models.node import Node
from khive_persist.models.query import Filter, field
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.application_sessions.append import KINDS
from khive_persist.server.routes.application_sessions.cache import SessionCache, session_fields
from khive_persist.server.routes.application_sessions.check import CHECKED, check
from khive_persist.server.routes.application_sessions.versions import tag
from khive_persist.server.routes.read.filters import of_times
from khive_persist.server.routes.read.listing import Listing, Page
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import SINCE, UNTIL, Parameter
from khive_persist.server.routes.read.records import row_size
from khive_persist.server.routes.read.responses import CACHE, has_tag
from khive_persist.server.routes.read.schemas import shape
from khive_persist.store import codec
from khive_persist.store.keyset_pages import NewestRow, PageKey, newest
from khive_persist.transfer.columns import columns_of
from khive_persist.transfer.writing import Table
from khive_persist.transfer.writing.csv import head, line_of

_FIELDS: Final = ("application", "participant", "scenario", "group")
_FILTERS: Final = (
    *(Parameter(name, "text", f"Of this {name}.") for name in _FIELDS),
    Parameter("status", "word", "Of this status.", (ACTIVE, COMPLETED)),
    SINCE,
    UNTIL,
)
_NAME: Final = Parameter("name", "text", "Of the series of this name.")
_WORDS: Final = {"id": "The session's id."}
# The class of records says what else is in them, and others add fields of their own.
_SESSION: Final = shape(
    {
        "type": "object",
        "required": ["session_id", "status", "version"],
        "properties": {"session_id": {"type": "string"}, "version": {"type": "integer"}},
    }
)
_ITEM: Final = shape(
    {
        "type": "object",
        "required": ["id", "created_at"],
        "properties": {"id": {"type": "string"}, "created_at": {"type": "string"}},
    }
)


def operations(
    project: Project, live: LiveSettings, readers: ReaderPool, path: str, cache: SessionCache
) -> list[Operation]:
    """Return what this group answers.

    Args:
        project: The project.
        live: The settings in force.
        readers: The pool of readers.
        path: The path of the sessions.
        cache: The cache of single sessions.
    """

    async def every(query: ReadRequest) -> Listing:
        names = (*_FIELDS, "status")
        filters = [
            field(name) == query.values[name] for name in names if query.values[name] is not None
        ]
        return _listing(readers, ApplicationSession, [*filters, *of_times(query)], _session)

    async def single_session(query: ReadRequest) -> Response:
        entry = await cache.get(query.path["id"])
        headers = CACHE | {"etag": tag(entry.version)}
        if has_tag(query.request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(entry.body, headers=headers, media_type="application/json")

    async def checked(query: ReadRequest) -> Any:
        return await check(project, live.settings, query.path["id"])

    def within(record: type[Node]) -> Callable[[ReadRequest], Any]:
        async def items(query: ReadRequest) -> Listing:
            id = query.path["id"]
            await cache.get(id)
            filters = [field("session_id") == id, *of_times(query)]
            if query.values.get("name") is not None:
                filters.append(field("name") == query.values["name"])
            return _listing(readers, record, filters, _item)

        return items

    single = f"{path}/{{id}}"
    return [
        Operation(path, every, "Sessions, the newest first.", _FILTERS, _SESSION, True),
        Operation(single, single_session, "One session; its ETag is its version.", (), _SESSION,
                  path_words=_WORDS),
        Operation(f"{single}/check", checked, "Whether a session is in both copies.", (), CHECKED,
                  path_words=_WORDS),
        *(
            Operation(
                f"{single}/{name}",
                within(kind.record),
                f"The {name} of a session, the newest first.",
                (SINCE, UNTIL) if name == "messages" else (_NAME, SINCE, UNTIL),
                _ITEM,
                True,
                path_words=_WORDS,
            )
            for name, kind in KINDS.items()
        ),
    ]  # fmt: skip


def _listing(
    readers: ReaderPool,
    record: type[Node],
    filters: Sequence[Filter],
    document: Callable[[NewestRow], dict[str, Any]],
) -> Listing:
    purpose = record.purpose
    table = Table(purpose, tuple(columns_of(record, purpose)))

    async def page(position: Sequence[Any] | None, limit: int) -> Page:
        key = None if position is None else PageKey(*position)
        async with readers.reader(purpose) as reader:
            rows, following = await newest(reader, [purpose], filters, key, limit)
        return Page(rows, following)

    def line(item: NewestRow) -> bytes:
        row = (*item.row[:3], item.key.created_at, item.row[4])
        return line_of(table, table.columns, row)

    return Listing(page, (str, str), document, partial(head, table.columns), line, row_size)


def _session(row: NewestRow) -> dict[str, Any]:
    return session_fields(row.row[0], codec.column(row.row[1]))


def _item(row: NewestRow) -> dict[str, Any]:
    content = codec.column(row.row[1])
    fields = content if isinstance(content, dict) else {}
    return {**fields, "id": row.row[0], "created_at": row.key.created_at}
