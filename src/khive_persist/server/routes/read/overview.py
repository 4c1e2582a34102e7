"""`GET /v1/place` and `/v1/overview`: whose server this is, and what happened there."""

from importlib.metadata import version
from typing import Any, Final

from khive_persist import clock
from khive_persist.server.context import Serving
from khive_persist.server.reader_pool import Reading
from khive_persist.server.routes.read import parameters as given
from khive_persist.server.routes.read.operations import Asked, Operation
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


def operations(serving: Serving) -> list[Operation]:
    """Return what this group answers."""
    reading = serving.reading
    root = serving.project.root
    made = version("khive-persist")
    # Whoever asks for what another asked just now, when nothing has changed since.
    latest: dict[tuple[Any, ...], bytes] = {}

    async def project(_asked: Asked) -> Any:
        await reading.was_read()
        since = reading.rollup.ask("SELECT min(started) FROM sessions")[0][0]
        return {"root": str(root), "name": root.name, "version": made, "since": since}

    async def overview(asked: Asked) -> Any:
        await reading.was_read()
        since, until = _hour(asked["since"]), _hour(asked["until"])
        wanted = since, until, asked["bucket"], asked["by"]
        progress, changed = reading.follower.progress, reading.rollup.version
        key = (*wanted, changed, progress)
        if key not in latest:
            body = await reading.in_thread(_document, reading, *wanted, progress)
            while len(latest) >= _REMEMBERED:
                del latest[next(iter(latest))]
            latest[key] = body
        return answer_bytes(asked.request, latest[key])

    asked_for = (given.SINCE, given.UNTIL, BUCKET, GROUP)
    return [
        Operation("/v1/place", project, "Whose server this is.", (), PROJECT),
        Operation("/v1/overview", overview, "What happened over a time.", asked_for, OVERVIEW),
    ]


def _document(
    reading: Reading,
    since: str | None,
    until: str | None,
    bucket: Bucket,
    by: By,
    progress: Progress,
) -> bytes:
    updated_at = reading.rollup.updated_at
    found = reading.hours.overview(since, until, bucket, by)
    told = {
        "since": None if since is None else since + _REST,
        "until": None if until is None else until + _REST,
        "bucket": bucket,
        "by": by,
        "updated_at": updated_at,
        "totals": found.totals._asdict(),
        "series": [
            {"at": at, "group": group} | _some(_SERIES, sums) for at, group, sums in found.series
        ],
        "groups": [{"group": group} | _some(_GROUPS, sums) for group, sums in found.groups],
        **progress._asdict(),
    }
    return codec.dump_lossy(told).encode()


def _hour(moment: Any) -> str | None:
    """The hour in which an instant is: the sums know no shorter time."""
    return None if moment is None else clock.to_text(moment)[:HOUR_CHARACTERS]


def _some(names: tuple[str, ...], sums: Sums) -> dict[str, Any]:
    return {name: getattr(sums, name) for name in names}
