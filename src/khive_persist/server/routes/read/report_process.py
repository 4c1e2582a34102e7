"""The process that computes one comparison or report for a server; `report_client.py` starts it.

    python -m khive_persist.server.routes.read.report_process ROOT

It takes a `Question` as a line of JSON on stdin, and writes the answer to stdout. What computes
statistics and draws takes a hundred megabytes, which the server does not have to keep so. It leaves
when its stdin ends, as it does with the server.
"""

import os
import resource
import sys
import threading
from functools import partial
from typing import Any, Final

import anyio

from khive_persist import clock
from khive_persist.errors import InvalidQueryError, KhiveError, extra
from khive_persist.project import Project
from khive_persist.store import codec

# The answer is an error: a JSON object of its class, message and hint.
REFUSED: Final = 3
MOST_MEMORY_BYTES: Final = 2 << 30
# What it does can wait for what is recorded meanwhile.
_NICENESS: Final = 5


def main() -> int:
    """Answer one question."""
    os.umask(0o077)
    os.nice(_NICENESS)
    # Thousands of groups must not take the memory that others need.
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY_BYTES, most))
    question = codec.load(sys.stdin.readline())
    threading.Thread(target=_leave_with_the_server, daemon=True).start()
    try:
        answer = _answer(Project(sys.argv[1]), question)
    except KhiveError as error:
        _write({"class": type(error).__name__, "message": error.args[0], "hint": error.hint})
        return REFUSED
    except MemoryError:
        wrong = InvalidQueryError.__name__
        _write({"class": wrong, "message": "that takes too much memory", "hint": "ask for less"})
        return REFUSED
    sys.stdout.write(answer)
    return 0


def _answer(project: Project, question: dict[str, Any]) -> str:
    if question.pop("what") == "report":
        return _report(project, **question)
    return _comparison(project, **question)


def _report(project: Project, *, as_page: bool, period: Any, at: str, current_time: str) -> str:
    from khive_persist.analytics.periodic_report.report import read_report

    made_at = clock.from_column(current_time)
    report = anyio.run(read_report, project, period, clock.from_column(at), made_at)
    if not as_page:
        return codec.dump_lossy(report)
    with extra("analysis", "this"):
        from khive_persist.analytics.periodic_report.page import page
    return page(report, made_at or clock.now())


def _comparison(
    project: Project,
    *,
    as_page: bool,
    names: list[str],
    paired_by: str | None,
    min_n: int,
    since: str | None,
    until: str | None,
    **grouping: Any,
) -> str:
    with extra("analysis", "this"):
        from khive_persist.analytics.compare import metrics
        from khive_persist.analytics.compare.collect import collect
        from khive_persist.analytics.compare.compare import compare
        from khive_persist.analytics.compare.document import comparison_of
    collected = anyio.run(
        partial(collect, project, names=names or metrics.NAMES, paired_by=paired_by,
                since=clock.from_column(since), until=clock.from_column(until), **grouping)
    )  # fmt: skip
    comparisons = compare(collected.samples, paired=paired_by is not None, min_n=min_n)
    if not as_page:
        return codec.dump_lossy(comparison_of(collected, comparisons))
    with extra("analysis", "this"):
        from khive_persist.analytics.compare.report.page import page
    return page(collected, comparisons, clock.now())


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(codec.dump_lossy(document))


def _leave_with_the_server() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
