"""`GET /v1/compare` and `/v1/report`: groups of sessions, and days and weeks, set side by side."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import anyio
from starlette.responses import Response

from khive_persist import clock
from khive_persist.analytics.compare import grouping, metrics
from khive_persist.analytics.compare.report import elements
from khive_persist.analytics.periodic_report.period import KINDS, chosen
from khive_persist.models.purposes import EXPERIMENTS
from khive_persist.models.query import field
from khive_persist.project import Project
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.routes.read import parameters
from khive_persist.server.routes.read.fingerprint import state_of
from khive_persist.server.routes.read.operations import Operation, ReadRequest
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.report_client import LIMIT_SECONDS, Reporter
from khive_persist.server.routes.read.responses import CACHE, has_tag, tag_of
from khive_persist.store import codec
from khive_persist.store.source import Source, Statement, select

PAGE: Final = "text/html"
# What the page says of itself, and what only a header can say.
POLICY: Final = f"{elements.POLICY}; frame-ancestors 'none'"
BY: Final = Parameter(
    "by", "text", "What parts sessions into groups, as in model or plan:PATH.", default="model"
)
GROUP: Final = Parameter(
    "group", "text", "Only this group; again for more, the one to compare with first.",
    is_many=True,
)  # fmt: skip
METRIC: Final = Parameter("metric", "text", "Only this metric; again for more.", is_many=True)
PAIRED_BY: Final = Parameter("paired_by", "text", "What belongs together, as task_description.")
MIN_N: Final = Parameter(
    "min_n", "integer", "With fewer sessions in a group nothing is tested.",
    minimum=2, maximum=1_000_000, default=5,
)  # fmt: skip
INCLUDE_LATE: Final = Parameter(
    "include_late", "boolean",
    "Also sessions whose variant of an experiment somebody named after their work had begun.",
    default=False,
)  # fmt: skip
PERIOD: Final = Parameter("period", "word", "How long it is, in UTC.", KINDS, default="week")
AT: Final = Parameter("at", "time", "A time in it; else the last one that is over.")
_PATTERNS: Final = (*metrics.PATTERNS, "experiment:NAME")
_REFUSALS: Final = {"504": f"it takes longer than {LIMIT_SECONDS:.0f} s"}
_NO_EXPERIMENT: Final = {"404": "there is no such experiment"}


class ComparisonNames(NamedTuple):
    """The names by which sessions can be grouped and compared.

    Attributes:
        by: The fields that part sessions into groups.
        metrics: The metrics.
        patterns: The forms of further fields and metrics, which have a name of their own.
        experiments: The experiments by whose variants sessions can be grouped.
    """

    by: Sequence[str]
    metrics: Sequence[str]
    patterns: Sequence[str]
    experiments: Sequence[str]


def operations(project: Project, readers: ReaderPool, stopping: anyio.Event) -> list[Operation]:
    """Return what this group answers."""
    reporter = Reporter(project, stopping)
    server_version = version("khive-persist")

    async def answered(query: ReadRequest, question: Mapping[str, Any], key: Any) -> Response:
        """Return the answer; 304 where the client has that of the same question to the same
        records.
        """
        is_page = bool(question["as_page"])
        # Before it is computed: what comes meanwhile is in the answer, or makes another tag.
        fingerprint = codec.dump_lossy([server_version, is_page, key, state_of(project)]).encode()
        tag = tag_of(fingerprint)
        headers = CACHE | {"etag": f"W/{tag}"}
        if is_page:
            # Also where it is not changed: a cache takes the headers of the later answer.
            headers |= {"content-security-policy": POLICY, "content-disposition": "inline"}
        media_type = PAGE if is_page else "application/json"
        if has_tag(query.request, tag):
            return Response(status_code=304, headers=headers)
        if query.request.method == "HEAD":
            return Response(headers=headers, media_type=media_type)
        body = await reporter.ask(query.request, question)
        return Response(body, headers=headers, media_type=media_type)

    async def compared(query: ReadRequest, *, as_page: bool) -> Response:
        # A name that is wrong is told at once.
        grouping.key(query["by"])
        if query["paired_by"] is not None:
            grouping.key(query["paired_by"])
        for name in query["metric"] or ():
            metrics.measured(name)
        arguments = {
            "by": query["by"],
            "groups": query["group"] or (),
            "names": query["metric"] or (),
            "paired_by": query["paired_by"],
            "min_n": query["min_n"],
            "since": _text(query["since"]),
            "until": _text(query["until"]),
            "with_late": query["include_late"],
        }
        question = {"what": "compare", "as_page": as_page} | arguments
        return await answered(query, question, arguments)

    async def reported(query: ReadRequest, *, as_page: bool) -> Response:
        current_time = clock.now()
        period = chosen(query["period"], query["at"], current_time)
        question = {
            "what": "report",
            "as_page": as_page,
            "period": period.kind,
            "at": clock.to_text(period.since),
            "current_time": clock.to_text(current_time),
        }
        # Of one that runs, a day that begins changes what is shown.
        day = current_time.date() if period.is_running(current_time) else None
        return await answered(query, question, [period.kind, period.time, str(day)])

    async def names(_query: ReadRequest) -> Any:
        async with readers.reader(EXPERIMENTS) as reader:
            rows = await reader.fetch(_experiments)
        experiments = [str(row[0]) for row in rows]
        return ComparisonNames(grouping.NAMES, metrics.NAMES, _PATTERNS, experiments)

    groups = (
        BY, GROUP, METRIC, PAIRED_BY, MIN_N, INCLUDE_LATE, parameters.SINCE, parameters.UNTIL,
    )  # fmt: skip
    return [
        Operation(
            "/v1/compare",
            partial(compared, as_page=False),
            "Groups of sessions compared, with every figure.",
            groups,
            "khive_persist.analytics.compare.comparison:Comparison",
            refusals=_REFUSALS | _NO_EXPERIMENT,
        ),
        Operation(
            "/v1/compare/page",
            partial(compared, as_page=True),
            "The report of a comparison, a page that stands by itself.",
            groups,
            media_type=PAGE,
            refusals=_REFUSALS | _NO_EXPERIMENT,
        ),
        Operation(
            "/v1/compare/names",
            names,
            "By what sessions can be grouped, and what can be compared.",
            (),
            ComparisonNames,
        ),
        Operation(
            "/v1/report",
            partial(reported, as_page=False),
            "A day or a week, beside the one before.",
            (PERIOD, AT),
            "khive_persist.analytics.periodic_report.document:PeriodReport",
            refusals=_REFUSALS,
        ),
        Operation(
            "/v1/report/page",
            partial(reported, as_page=True),
            "The same as a page that stands by itself.",
            (PERIOD, AT),
            media_type=PAGE,
            refusals=_REFUSALS,
        ),
    ]


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else clock.to_text(moment)


def _experiments(source: Source) -> Statement:
    name = source.extract("$.name")
    return select(source, [~field("name").is_null()], (field("name"),), columns=f"{name} AS name")
