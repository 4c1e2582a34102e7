"""`GET /v1/project` and `/v1/overview`: the project of this server, and its figures over a time."""

from importlib.metadata import version
from typing import Any, Final

from khive_persist import clock
from khive_persist.server.context import ServerContext
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.responses import answer_bytes
from khive_persist.server.routes.read.schemas import OVERVIEW, PROJECT
from khive_persist.sessions.rollup.follower import Progress
from khive_persist.sessions.rollup.groups import HOUR_CHARACTERS
from khive_persist.sessions.rollup.hours import BUCKETS, BY, Bucket, By, Sums
from khive_persist.store import codec

BUCKET: Final = Parameter("bucket", "word", "The steps of the series.", BUCKETS, default="hour")
GROUP: Final = Parameter("by", "word", "What the groups are.", BY, default="tool")
_SERIES: Final = (
    "events",
    "failures",
    "sessions",
    "messages",
    "input",
    "output",
    "cost",
    "unpriced",
)
_GROUPS: Final = ("events", "failures", "sessions", "messages", "cost", "unpriced")
_REMEMBERED: Final = 16
_REST: Final = ":00:00.000000"


def operations(context: ServerContext) -> list[Operation]:
    """Return what this group answers."""
    readers = context.readers
    root = context.project.root
    server_version = version("khive-persist")
    # Whoever asks for what another asked just now, when nothing has changed since.
    latest: dict[tuple[Any, ...], bytes] = {}

    async def project(_query: ReadRequest) -> Any:
        await readers.wait_until_read()
        since = readers.rollup.query("SELECT min(started) FROM sessions")[0][0]
        return {"root": str(root), "name": root.name, "version": server_version, "since": since}

    async def overview(query: ReadRequest) -> Any:
        await readers.wait_until_read()
        since, until = _hour(query["since"]), _hour(query["until"])
        arguments = since, until, query["bucket"], query["by"]
        progress, revision = readers.follower.progress, readers.rollup.version
        key = (*arguments, revision, progress)
        if key not in latest:
            body = await readers.run_in_thread(_document, readers, *arguments, progress)
            while len(latest) >= _REMEMBERED:
                del latest[next(iter(latest))]
            latest[key] = body
        return answer_bytes(query.request, latest[key])

    asked_for = (parameters.SINCE, parameters.UNTIL, BUCKET, GROUP)
    return [
        Operation("/v1/project", project, "The project of this server.", (), PROJECT),
        Operation(
            "/v1/place",
            project,
            "The old path of `/v1/project`.",
            (),
            PROJECT,
            is_deprecated=True,
        ),
        Operation("/v1/overview", overview, "What happened over a time.", asked_for, OVERVIEW),
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
    document = {
        "since": None if since is None else since + _REST,
        "until": None if until is None else until + _REST,
        "bucket": bucket,
        "by": by,
        "updated_at": updated_at,
        "totals": overview.totals._asdict(),
        "series": [
            {"at": at, "group": group} | _some(_SERIES, sums) for at, group, sums in overview.series
        ],
        "groups": [{"group": group} | _some(_GROUPS, sums) for group, sums in overview.groups],
        **progress._asdict(),
    }
    return codec.dump_lossy(document).encode()


def _hour(moment: Any) -> str | None:
    """Return the hour in which an instant is: the sums know no shorter time."""
    return None if moment is None else clock.to_text(moment)[:HOUR_CHARACTERS]


def _some(names: tuple[str, ...], sums: Sums) -> dict[str, Any]:
    return {name: getattr(sums, name) for name in names}
