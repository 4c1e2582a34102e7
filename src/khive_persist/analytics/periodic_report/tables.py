"""The figures of a report as tables, for a terminal, a page and a text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.compare.statistics.p_values import p_cell

_BEFORE: Final = {"day": "day before", "week": "week before"}
_DIGITS: Final = 4
_GROUPS: Final = {"model": "By model", "project": "By project", "tool": "By AI tool"}


class Table(NamedTuple):
    """One table; `empty` says why it has no rows. A share or a change is text, as in +22%."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    empty: str


def tables(report: Mapping[str, Any]) -> list[Table]:
    """Return all tables of a report of `read_report`, in the order in which they are shown."""
    return [
        table._replace(rows=[tuple(map(_rounded, row)) for row in table.rows])
        for table in _tables(report, _BEFORE[report["period"]])
    ]


def _tables(report: Mapping[str, Any], previous: str) -> Iterator[Table]:
    yield Table(
        "In all",
        ("figure", "unit", "now", previous, "change"),
        [
            (entry["name"].replace("_", " "), entry["unit"], _share(entry, "now"),
             _share(entry, "before"), _percent(entry["change"]))
            for entry in report["totals"]
        ],
        "nothing",
    )  # fmt: skip
    yield _of(
        "Days",
        report["days"],
        ("day", "events", "failures", "sessions", "tokens", "cost", "unpriced"),
        "no day has begun",
    )
    yield _of(
        "Slowest tools",
        report["tools"],
        ("tool", "tool_name", "calls", "failures", "total_ms", "median_ms", "before_median_ms",
         "p95_ms", "longest_ms"),
        "no tool call ended",
    )  # fmt: skip
    yield _of(
        "What failed",
        report["failures"],
        ("tool", "tool_name", "count", "before", "example"),
        "no tool call failed",
    )
    for by, title in _GROUPS.items():
        yield Table(
            title,
            (by, "sessions", "tokens", "cost", "unpriced", f"cost {previous}"),
            [
                (entry["group"] if entry["group"] is not None else "others, and of none",
                 entry["sessions"], entry["tokens"], entry["cost"], entry["unpriced"],
                 entry["cost_before"])
                for entry in report["by"][by]
            ],
            f"nothing tells its {by}",
        )  # fmt: skip
    yield Table(
        "Outcomes of application sessions",
        ("outcome", "now", previous),
        [tuple(entry.values()) for entry in report["outcomes"]],
        "no application session has an outcome",
    )
    yield _of(
        "Scores and measurements",
        report["series"],
        ("kind", "name", "unit", "sessions", "values", "mean", "smallest", "largest",
         "values_before", "mean_before"),
        "nothing was scored or measured",
    )  # fmt: skip
    yield _of(
        "Dearest sessions",
        report["sessions"],
        ("session_id", "title", "tool", "project", "cost", "unpriced", "failures",
         "duration_seconds"),
        "no session has a cost that is known",
    )  # fmt: skip
    bins = report["calibration"]["bins"] if report["calibration"] is not None else ()
    yield _of(
        "Calibration of plans",
        [entry for entry in bins if entry["plans"]],
        ("low", "high", "plans", "confidence", "success", "success_low", "success_high"),
        "no plan of this time has both a confidence and a verdict",
    )
    yield Table(
        "Sessions against those before",
        ("metric", "unit", f"n {previous}", f"mean {previous}", "n", "mean", "p", "p by Holm"),
        [
            (entry["metric"]["name"], entry["metric"]["unit"],
             *(entry["groups"][number]["description"][name]
               for number in (0, 1) for name in ("n", "mean")), p_cell(entry["p"]),
             p_cell(entry["p_holm"]))
            for entry in report["comparison"] or ()
        ],
        report["comparison_missing"] or "nothing to compare",
    )  # fmt: skip


def _of(
    title: str, entries: Sequence[Mapping[str, Any]], columns: tuple[str, ...], empty: str
) -> Table:
    rows = [tuple(entry[name] for name in columns) for entry in entries]
    return Table(title, columns, rows, empty)


def _share(entry: Mapping[str, Any], period: str) -> Cell:
    value: Cell = entry[period]
    if entry["name"] == "failure_rate" and isinstance(value, float):
        return f"{value:.1%}"
    return value


def _percent(change: float | None) -> str | None:
    if change is None:
        return None
    text = f"{change:+.0%}"
    return "0%" if text in ("+0%", "-0%") else text


def _rounded(value: Cell) -> Cell:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
