"""Plots of a comparison as SVG. Names stand in it as escaped text, in the reader's own fonts."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from khive_persist.analytics.compare.collect import Days
from khive_persist.analytics.compare.comparison import MetricComparison
from khive_persist.analytics.compare.metric import Sample
from khive_persist.analytics.compare.report.drawing import COLOURS, label, plot_style, svg
from khive_persist.analytics.compare.statistics.describe import boxplot

# Of more points a cloud says no more than the box does.
_MOST_POINTS: Final = 300
MOST_GROUPS: Final = 12


def distributions(comparison: MetricComparison, samples: Mapping[str, Sample]) -> bytes:
    """Return a box for each group, with its values beside it where they are few."""
    groups = [group for group in comparison.groups if group.description.n][:MOST_GROUPS]
    with plot_style():
        figure = Figure(figsize=(5, 0.6 + 0.45 * max(len(groups), 2)), layout="constrained")
        axes = figure.subplots()
        for row, group in enumerate(reversed(groups)):
            colour = COLOURS[(len(groups) - 1 - row) % len(COLOURS)]
            _box(axes, samples[group.name].values, row, colour)
        axes.set_yticks(range(len(groups)), [label(group.name) for group in reversed(groups)])
        axes.set_ylim(-0.7, max(len(groups), 1) - 0.3)
        unit = f" ({comparison.metric.unit})" if comparison.metric.unit else ""
        axes.set_xlabel(comparison.metric.name + unit)
        return svg(figure)


def effects(comparisons: Sequence[MetricComparison]) -> bytes | None:
    """Hedges' g of each metric with its interval; None where no metric has one."""
    with_effect = [comparison for comparison in comparisons if comparison.effect is not None]
    if not with_effect:
        return None
    tested = {comparison.tested for comparison in with_effect}
    with plot_style():
        figure = Figure(figsize=(5.5, 0.8 + 0.32 * len(with_effect)), layout="constrained")
        axes = figure.subplots()
        for row, comparison in enumerate(reversed(with_effect)):
            assert comparison.effect is not None
            g, (low, high, _) = comparison.effect.g, comparison.effect.g_interval
            axes.plot([low, high], [row, row], color=COLOURS[0], linewidth=1.5)
            axes.plot([g], [row], "o", color=COLOURS[0], markersize=5)
        axes.axvline(0, color="#5c636a", linewidth=0.8, linestyle=":")
        names = [
            _effect_name(comparison, is_alone=len(tested) == 1)
            for comparison in reversed(with_effect)
        ]
        axes.set_yticks(range(len(with_effect)), names)
        axes.set_ylim(-0.6, len(with_effect) - 0.4)
        if len(tested) == 1:
            first, second = (
                label(with_effect[0].groups[place].name) for place in with_effect[0].tested
            )
            axes.set_xlabel(f"Hedges' g: right of 0, {second}\nhas more than {first}")
        else:
            axes.set_xlabel("Hedges' g: right of 0, the group that is named first has more")
        return svg(figure)


def _effect_name(comparison: MetricComparison, *, is_alone: bool) -> str:
    """Return a metric, and where not all are of the same two groups, of which it is."""
    name = label(comparison.metric.name)
    if is_alone:
        return name
    first, second = (label(comparison.groups[place].name) for place in comparison.tested)
    return f"{name}\n{second} - {first}"


def over_time(comparison: MetricComparison, days: Mapping[str, Days]) -> bytes | None:
    """Return the mean of each day and group; None with under two days."""
    every = sorted({day for of_group in days.values() for day in of_group})
    if len(every) < 2:
        return None
    with plot_style():
        figure = Figure(figsize=(5, 2), layout="constrained")
        axes = figure.subplots()
        for number, group in enumerate(comparison.groups[:MOST_GROUPS]):
            of_group = days.get(group.name, {})
            points = [(np.datetime64(day), of_group[day][1] / of_group[day][0])
                      for day in every if day in of_group]  # fmt: skip
            colour = COLOURS[number % len(COLOURS)]
            if points:
                at, means = zip(*points, strict=True)
                name = label(group.name)
                axes.plot(at, means, marker=".", linewidth=1, color=colour, label=name)
        axes.set_ylabel(f"mean {comparison.metric.name}")
        axes.tick_params(axis="x", rotation=30)
        axes.legend(fontsize=7, frameon=False)
        return svg(figure)


def _box(axes: Any, values: Sequence[float], row: int, colour: str) -> None:
    box = boxplot(values)
    statistics = {
        "whislo": box.low, "q1": box.lower_hinge, "med": box.median, "q3": box.upper_hinge,
        "whishi": box.high, "fliers": box.outliers,
    }  # fmt: skip
    axes.bxp(
        [statistics], positions=[row], orientation="horizontal", widths=0.5,
        showfliers=len(values) > _MOST_POINTS, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": "none", "edgecolor": colour}, medianprops={"color": colour},
        whiskerprops={"color": colour}, capprops={"color": colour},
        flierprops={"markersize": 2, "markeredgecolor": colour},
    )  # fmt: skip
    if len(values) <= _MOST_POINTS:
        # Beside each other by their order, not by chance: the same data give the same picture.
        offsets = row + 0.3 * (np.arange(len(values)) * 0.618 % 1 - 0.5)
        axes.plot(values, offsets, ".", markersize=3, color=colour, alpha=0.5)
