"""`GET /v1/project` and `/v1/overview`: the project of this server, and its figures over a time."""

from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from anyio import to_thread

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.capture import pauses
from khive_persist.capture.pauses import PauseStatus
from khive_persist.clock import InstantText
from khive_persist.models.purposes import EVENT_FILES
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.responses import answer_bytes
from khive_persist.sessions.facets import Facets, event_facets, session_facets
from khive_persist.sessions.rollup.follower import Progress
from khive_persist.sessions.rollup.groups import HOUR_CHARACTERS
from khive_persist.sessions.rollup.hours import BUCKETS, BY, Bucket, By, Sums
from khive_persist.store import codec

OF: Final = Parameter(
    "of", "word", "The list that is filtered.", ("sessions", "events"), default="sessions"
)
BUCKET: Final = Parameter("bucket", "word", "The steps of the series.", BUCKETS, default="hour")
GROUP: Final = Parameter("by", "word", "What the groups are.", BY, default="tool")
_REMEMBERED: Final = 16
_REST: Final = ":00:00.000000"


class ProjectInfo(NamedTuple):
    """The project of a server.

    Attributes:
        root: The directory that holds `.khive`.
        name: The name of that directory.
        version: The version of the server.
        since: The start of its first session.
        pause: The pauses in which nothing is recorded.
        semantic: Whether a search may ask for what is near in meaning.
    """

    root: str
    name: str
    version: str
    since: InstantText | None
    pause: PauseStatus
    semantic: bool


class OverviewStep(NamedTuple):
    """The sums of one group in one step of the series."""

    at: InstantText
    group: str | None
    events: int
    failures: int
    sessions: int
    messages: int
    input: int
    output: int
    cost: float | None
    unpriced: int


class OverviewGroup(NamedTuple):
    """The sums of one group over all of the time."""

    group: str | None
    events: int
    failures: int
    sessions: int
    messages: int
    cost: float | None
    unpriced: int


class OverviewAnswer(NamedTuple):
    """What happened over a time.

    Attributes:
        updated_at: The time of the last look at the files.
        series: By the beginning of the step and by group, in order; empty ones are left out.
        groups: The one with most events first.
        is_complete: Whether all that was recorded before the server's start is read.
        read: The number of records that are.
        of: The number of all.
    """

    since: InstantText | None
    until: InstantText | None
    bucket: Bucket
    by: By
    updated_at: InstantText
    totals: Sums
    series: list[OverviewStep]
    groups: list[OverviewGroup]
    is_complete: bool
    read: int
    of: int


def operations(project: Project, readers: ReaderPool) -> list[Operation]:
    """Return what this group answers."""
    place = PurePath(readers.place)
    server_version = version("khive-persist")
    # Whoever asks for what another asked just now, when nothing has changed since.
    latest: dict[tuple[Any, ...], bytes] = {}

    async def project_info(_query: ReadRequest) -> Any:
        await readers.wait_until_read()
        since = readers.rollup.first_start()
        pause = await to_thread.run_sync(pauses.status, project)
        settings = await to_thread.run_sync(configuration.load, project.config)
        is_semantic = settings.search_semantic != "off"
        return ProjectInfo(str(place), place.name, server_version, since, pause, is_semantic)

    async def overview(query: ReadRequest) -> Any:
        await readers.wait_until_read()
        since, until = _hour(query["since"]), _hour(query["until"])
        arguments = since, until, query["bucket"], query["by"]
        progress, revision = readers.follower.progress, readers.rollup.version
        key = (*arguments, revision, progress)
        if key not in latest:
            body = await to_thread.run_sync(_document, readers, *arguments, progress)
            while len(latest) >= _REMEMBERED:
                del latest[next(iter(latest))]
            latest[key] = body
        return answer_bytes(query.request, latest[key])

    async def facets(query: ReadRequest) -> Any:
        await readers.wait_until_read()
        if query["of"] == "sessions":
            return await to_thread.run_sync(session_facets, readers.rollup)
        async with readers.reader(*EVENT_FILES.values()) as reader:
            return await event_facets(readers.rollup, reader)

    over_time = (parameters.SINCE, parameters.UNTIL, BUCKET, GROUP)
    return [
        Operation("/v1/project", project_info, "The project of this server.", (), ProjectInfo),
        Operation(
            "/v1/place",
            project_info,
            "The old path of `/v1/project`.",
            (),
            ProjectInfo,
            is_deprecated=True,
        ),
        Operation(
            "/v1/overview", overview, "What happened over a time.", over_time, OverviewAnswer
        ),
        Operation("/v1/facets", facets, "The values that a list is filtered by.", (OF,), Facets),
    ]


def _document(
    readers: ReaderPool,
    since: str | None,
    until: str | None,
    bucket: Bucket,
    by: By,
    progress: Progress,
) -> bytes:
    updated_at = readers.rollup.updated_at
    overview = readers.hours.overview(since, until, bucket, by)
    answer = OverviewAnswer(
        None if since is None else since + _REST,
        None if until is None else until + _REST,
        bucket,
        by,
        updated_at,
        overview.totals,
        [
            OverviewStep(at, group, *_some(OverviewStep._fields[2:], sums))
            for at, group, sums in overview.series
        ],
        [
            OverviewGroup(group, *_some(OverviewGroup._fields[1:], sums))
            for group, sums in overview.groups
        ],
        *progress,
    )
    return codec.dump_lossy(answer).encode()


def _hour(moment: Any) -> str | None:
    """Return the hour in which an instant is: the sums know no shorter time."""
    return None if moment is None else clock.to_text(moment)[:HOUR_CHARACTERS]


def _some(names: tuple[str, ...], sums: Sums) -> list[Any]:
    return [getattr(sums, name) for name in names]
