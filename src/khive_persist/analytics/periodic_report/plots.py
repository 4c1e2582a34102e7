"""Plots of a report as SVG. They need matplotlib."""

from collections.abc import Mapping
from typing import Any, Final

from matplotlib.figure import Figure

from khive_persist.analytics.compare.report.drawing import COLOURS, label, plot_style, svg

_BAR: Final = 0.4
_TOOLS: Final = 12


def days(report: Mapping[str, Any]) -> bytes | None:
    """Return each day beside the same day of the period before: cost, sessions, failures.

    None for a single day, which its totals tell.
    """
    start = report["since"][:10]
    current = [day for day in report["days"] if day["day"] >= start]
    previous = [day for day in report["days"] if day["day"] < start]
    if len(previous) < 2:
        return None
    figures = [
        (name, unit)
        for name, unit in (("cost", "cost (USD)"), ("sessions", "sessions"),
                           ("failures", "failed calls"))
        if any(day[name] for day in report["days"])
    ]  # fmt: skip
    if not figures:
        return None
    with plot_style():
        figure = Figure(figsize=(7, 1.6 * len(figures) + 0.4), layout="constrained")
        all_axes = figure.subplots(len(figures), squeeze=False)[:, 0]
        for axes, (name, unit) in zip(all_axes, figures, strict=True):
            for entries, offset, colour, word in (
                (previous, -_BAR / 2, COLOURS[-1], report["before"]["name"]),
                (current, _BAR / 2, COLOURS[0], report["name"]),
            ):
                places = [number + offset for number in range(len(entries))]
                axes.bar(
                    places, [day[name] or 0 for day in entries], _BAR, color=colour, label=word
                )
            axes.set_ylabel(unit)
            axes.set_xticks(
                range(len(previous)), [_weekday(number) for number in range(len(previous))]
            )
        # Above the bars, of which there may be one at any place.
        all_axes[0].legend(
            fontsize=7, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1)
        )
        return svg(figure)


def tools(report: Mapping[str, Any]) -> bytes | None:
    """Return how long the calls of each tool took together; None where no length is known."""
    entries = [tool for tool in report["tools"] if tool["total_ms"]][:_TOOLS]
    if not entries:
        return None
    with plot_style():
        figure = Figure(figsize=(7, 0.7 + 0.28 * len(entries)), layout="constrained")
        axes = figure.subplots()
        names = [label(tool["tool_name"] or "without a name") for tool in entries]
        seconds = [tool["total_ms"] / 1_000 for tool in entries]
        axes.barh(range(len(entries)), seconds, color=COLOURS[0], height=0.6)
        axes.set_yticks(range(len(entries)), names)
        axes.invert_yaxis()
        axes.set_xlabel("seconds in all")
        return svg(figure)


def _weekday(number: int) -> str:
    return ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[number]
