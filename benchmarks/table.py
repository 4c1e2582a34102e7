"""One line of the result, and the table of all of them."""

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """One measurement: what, its figure, what it is held against, and the goal of their ratio.

    Where `reason` is not empty, it was not measured, and that says why.
    """

    what: str
    ours: str
    against: str
    ratio: float
    goal: float
    at_most: bool = False
    unit: str = "×"
    reason: str = ""

    @property
    def passes(self) -> bool:
        """Whether the goal is reached, or nobody looked."""
        if self.reason:
            return True
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal


def markdown(lines: Iterable[Line]) -> str:
    """The lines as a Markdown table."""
    rows = ["| what | ours | against | ratio | goal | |", "|---|---|---|---|---|---|"]
    for line in lines:
        sign = "≤" if line.at_most else "≥"
        goal = f"{sign} {line.goal:,g} {line.unit}"
        if line.reason:
            rows.append(f"| {line.what} | not measured: {line.reason} | | | {goal} | |")
            continue
        verdict = "pass" if line.passes else "**falls short**"
        rows.append(
            f"| {line.what} | {line.ours} | {line.against} | {line.ratio:,.2f} {line.unit}"
            f" | {goal} | {verdict} |"
        )
    return "\n".join(rows)


def median_ratio(ours: Sequence[float], against: Sequence[float]) -> float:
    """The median of the ratios pair by pair: both runs of a pair met the same machine."""
    return statistics.median(a / b for a, b in zip(ours, against, strict=True))


def milliseconds(seconds: Sequence[float]) -> str:
    """The median, in milliseconds."""
    return f"{statistics.median(seconds) * 1e3:.2f} ms"
