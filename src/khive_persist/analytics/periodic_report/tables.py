"""The figures of a report as tables, for a terminal, a page and a text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from khive_persist.analytics.compare.report.elements import Cell
from khive_persist.analytics.compare.statistics.p_values import shown

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
    """All tables of a report, as `read_report` gives it, in the order in which they are shown."""
    return [
        table._replace(rows=[tuple(map(_rounded, row)) for row in table.rows])
        for table in _tables(report, _BEFORE[report["period"]])
    ]


def _tables(report: Mapping[str, Any], before: str) -> Iterator[Table]:
    yield Table(
        "In all",
        ("figure", "unit", "now", before, "change"),
        [
            (one["name"].replace("_", " "), one["unit"], _share(one, "now"), _share(one, "before"),
             _percent(one["change"]))
            for one in report["totals"]
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
            (by, "sessions", "tokens", "cost", "unpriced", f"cost {before}"),
            [
                (one["group"] if one["group"] is not None else "others, and of none",
                 one["sessions"], one["tokens"], one["cost"], one["unpriced"],
                 one["cost_before"])
                for one in report["by"][by]
            ],
            f"nothing tells its {by}",
        )  # fmt: skip
    yield Table(
        "Outcomes of application sessions",
        ("outcome", "now", before),
        [tuple(one.values()) for one in report["outcomes"]],
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
        (
            "session_id",
            "title",
            "tool",
            "project",
            "cost",
            "unpriced",
            "failures",
            "duration_seconds",
        ),
        "no session has a cost that is known",
    )
    found = report["calibration"]
    yield _of(
        "Calibration of plans",
        [one for one in found["bins"] if one["plans"]] if found is not None else [],
        ("low", "high", "plans", "confidence", "success", "success_low", "success_high"),
        "no plan of this time has both a confidence and a verdict",
    )
    yield Table(
        "Sessions against those before",
        ("metric", "unit", f"n {before}", f"mean {before}", "n", "mean", "p", "p by Holm"),
        [
            (one["metric"]["name"], one["metric"]["unit"],
             *(one["groups"][number]["description"][name]
               for number in (0, 1) for name in ("n", "mean")), shown(one["p"]),
             shown(one["p_holm"]))
            for one in report["comparison"] or ()
        ],
        report["comparison_missing"] or "nothing to compare",
    )  # fmt: skip


def _of(
    title: str, entries: Sequence[Mapping[str, Any]], columns: tuple[str, ...], empty: str
) -> Table:
    rows = [tuple(entry[name] for name in columns) for entry in entries]
    return Table(title, columns, rows, empty)


def _share(one: Mapping[str, Any], which: str) -> Cell:
    value: Cell = one[which]
    if one["name"] == "failure_rate" and isinstance(value, float):
        return f"{value:.1%}"
    return value


def _percent(change: float | None) -> str | None:
    if change is None:
        return None
    said = f"{change:+.0%}"
    return "0%" if said in ("+0%", "-0%") else said


def _rounded(value: Cell) -> Cell:
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
