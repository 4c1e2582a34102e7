"""`GET` of sessions and of what is in them: one, lists of them, and whether both copies agree."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from pydantic import ConfigDict, with_config
from starlette.responses import Response
from typing_extensions import TypedDict

from khive_persist.clock import InstantText
from khive_persist.models.application_session import ACTIVE, COMPLETED, ApplicationSession
from khive_persist.models.node import Node
from khive_persist.models.query import field
from khive_persist.project import Project
from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.http.headers import version_tag
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.application_sessions.append import KINDS
from khive_persist.server.routes.application_sessions.cache import SessionCache, session_fields
from khive_persist.server.routes.application_sessions.check import SessionCheck, check
from khive_persist.server.routes.read.filters import of_times
from khive_persist.server.routes.read.listing import Listing
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import SINCE, UNTIL, Parameter
from khive_persist.server.routes.read.records import row_listing
from khive_persist.server.routes.read.responses import CACHE, has_tag
from khive_persist.sessions.application_activity import SERIES
from khive_persist.sessions.application_series import SessionSeries, session_series
from khive_persist.store import codec
from khive_persist.store.keyset_pages import NewestRow

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
@with_config(ConfigDict(extra="allow"))
class SessionFields(TypedDict):
    """The fields of a session."""

    session_id: str
    status: Any
    version: int


@with_config(ConfigDict(extra="allow"))
class AdditionFields(TypedDict):
    """The fields of a message, a measurement or a score."""

    id: str
    created_at: InstantText


class SeriesList(NamedTuple):
    """The series of a session: of scores, then of measurements, those of most values first.

    Attributes:
        series: The series, at most 50 of each kind.
    """

    series: list[SessionSeries]


def operations(
    project: Project, live: LiveSettings, readers: ReaderPool, path: str, cache: SessionCache
) -> list[Operation]:
    """Return what this group answers."""

    async def every(query: ReadRequest) -> Listing:
        names = (*_FIELDS, "status")
        filters = [
            field(name) == query.values[name] for name in names if query.values[name] is not None
        ]
        return row_listing(
            readers,
            ApplicationSession,
            [ApplicationSession.purpose],
            [*filters, *of_times(query)],
            _session,
        )

    async def single_session(query: ReadRequest) -> Response:
        entry = await cache.get(query.path["id"])
        headers = CACHE | {"etag": version_tag(entry.version)}
        if has_tag(query.request, headers["etag"]):
            return Response(status_code=304, headers=headers)
        return Response(entry.body, headers=headers, media_type="application/json")

    async def checked(query: ReadRequest) -> Any:
        return await check(project, live.settings, query.path["id"])

    async def series(query: ReadRequest) -> Any:
        id = query.path["id"]
        await cache.get(id)
        async with readers.reader(*SERIES.values()) as reader:
            return SeriesList(await session_series(reader, id))

    def within(record: type[Node]) -> Callable[[ReadRequest], Any]:
        async def items(query: ReadRequest) -> Listing:
            id = query.path["id"]
            await cache.get(id)
            filters = [field("session_id") == id, *of_times(query)]
            if query.values.get("name") is not None:
                filters.append(field("name") == query.values["name"])
            return row_listing(readers, record, [record.purpose], filters, _item)

        return items

    single = f"{path}/{{id}}"
    one_session = "One session; its ETag is its version."
    in_both = "Whether a session is in both copies."
    return [
        Operation(path, every, "Sessions, the newest first.", _FILTERS, SessionFields, True),
        Operation(single, single_session, one_session, (), SessionFields, path_words=_WORDS),
        Operation(f"{single}/check", checked, in_both, (), SessionCheck, path_words=_WORDS),
        Operation(
            f"{single}/series",
            series,
            "The scores and measurements of a session over time, some hundred points of each name.",
            (),
            SeriesList,
            path_words=_WORDS,
        ),
        *(
            Operation(
                f"{single}/{name}",
                within(kind.record),
                f"The {name} of a session, the newest first.",
                (SINCE, UNTIL) if name == "messages" else (_NAME, SINCE, UNTIL),
                AdditionFields,
                True,
                path_words=_WORDS,
            )
            for name, kind in KINDS.items()
        ),
    ]


def _session(row: NewestRow) -> dict[str, Any]:
    return session_fields(row.row[0], codec.column(row.row[1]))


def _item(row: NewestRow) -> dict[str, Any]:
    content = codec.column(row.row[1])
    fields = content if isinstance(content, dict) else {}
    return {**fields, "id": row.row[0], "created_at": row.key.created_at}
