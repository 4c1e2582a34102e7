"""`Finding`: what an examination says to a person, with the command that mends it."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Level = Literal["problem", "paused", "advice"]


class Finding(NamedTuple):
    """A finding: a fault, or an advice.

    Attributes:
        level: A problem needs a person, a pause is as the person wanted it, advice is what a
            careful person does.
        text: One line.
        command: The command that mends it, as a shell takes it; None where there is no such one.
    """

    level: Level
    text: str
    command: str | None = None


def problem_findings(lines: Iterable[str], command: str | None = None) -> list[Finding]:
    """Return problems that share the command which mends them."""
    return [Finding("problem", line, command) for line in lines]


def texts_of(findings: Iterable[Finding]) -> list[str]:
    """Return the lines of the problems among findings."""
    return [finding.text for finding in findings if finding.level == "problem"]
