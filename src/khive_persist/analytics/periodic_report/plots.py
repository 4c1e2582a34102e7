"""Plots of a report as SVG. They need matplotlib."""

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from khive_persist.analytics.compare.report.drawing import COLOURS, drawing, label, svg

_BAR: Final = 0.4
_TOOLS: Final = 12


def days(report: Mapping[str, Any]) -> bytes | None:
    """Each day beside the same day of the period before: cost, sessions, failures.

    None for a single day, which its totals tell.
    """
    begin = report["since"][:10]
    now = [one for one in report["days"] if one["day"] >= begin]
    before = [one for one in report["days"] if one["day"] < begin]
    if len(before) < 2:
        return None
    shown = [
        (name, unit)
        for name, unit in (("cost", "cost (USD)"), ("sessions", "sessions"),
                           ("failures", "failed calls"))
        if any(one[name] for one in report["days"])
    ]  # fmt: skip
    if not shown:
        return None
    with drawing():
        figure = Figure(figsize=(7, 1.6 * len(shown) + 0.4), layout="constrained")
        all_axes = figure.subplots(len(shown), squeeze=False)[:, 0]
        for axes, (name, unit) in zip(all_axes, shown, strict=True):
            for some, aside, colour, word in (
                (before, -_BAR / 2, COLOURS[-1], report["before"]["name"]),
                (now, _BAR / 2, COLOURS[0], report["name"]),
            ):
                places = [number + aside for number in range(len(some))]
                axes.bar(places, [one[name] or 0 for one in some], _BAR, color=colour, label=word)
            axes.set_ylabel(unit)
            axes.set_xticks(range(len(before)), [_weekday(number) for number in range(len(before))])
        # Above the bars, of which there may be one at any place.
        all_axes[0].legend(
            fontsize=7, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1)
        )
        return svg(figure)


def tools(report: Mapping[str, Any]) -> bytes | None:
    """Return how long the calls of each tool took together; None where no length is known."""
    shown = [one for one in report["tools"] if one["total_ms"]][:_TOOLS]
    if not shown:
        return None
    with drawing():
        figure = Figure(figsize=(7, 0.7 + 0.28 * len(shown)), layout="constrained")
        axes = figure.subplots()
        names = [label(one["tool_name"] or "without a name") for one in shown]
        seconds = [one["total_ms"] / 1_000 for one in shown]
        axes.barh(range(len(shown)), seconds, color=COLOURS[0], height=0.6)
        axes.set_yticks(range(len(shown)), names)
        axes.invert_yaxis()
        axes.set_xlabel("seconds in all")
        return svg(figure)


def _weekday(number: int) -> str:
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[number]
