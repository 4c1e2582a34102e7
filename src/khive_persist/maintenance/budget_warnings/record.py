"""The record of a project's warnings: which limits they are of, and how each delivery ended."""

from datetime import timedelta
from typing import Final, NamedTuple, get_args

from khive_persist import clock
from khive_persist.clock import InstantText
from khive_persist.files import write_private
from khive_persist.maintenance.budget_warnings.delivery import Channel
from khive_persist.project import Project
from khive_persist.sessions.budgets import BudgetState
from khive_persist.trust import signed

FILE: Final = "budget_warnings.json"
_PURPOSE: Final = "budget warnings"
_MOST: Final = 10_000
_SHOWN: Final = timedelta(days=7)
# What stands for the reason of a failure, while a process is at it.
BEGUN: Final = "it was begun, and no end of it is known: it is not sent again"


class Warned(NamedTuple):
    """The warning of a limit that was reached.

    Attributes:
        at: The time of the last try.
        text: The sentence that was sent.
        attempts: The number of tries.
        problems: The reason why it was not delivered, by channel; an empty text where it was.
    """

    at: InstantText
    text: str
    attempts: int
    problems: dict[Channel, str]


class WarningRecord:
    """The warnings of a project, by their crossing. Only who holds the lock writes them."""

    def __init__(self, project: Project) -> None:
        """Read what this user's programs wrote; of another's file nothing is believed."""
        self._khive = project.khive
        self._path = project.khive / FILE
        self.warnings: dict[str, Warned] = {}
        if not is_believed(project):
            return
        for crossing, entry in signed.read(self._path).get("warnings", {}).items():
            self.warnings[crossing] = Warned(**entry)

    def write(self, crossing: str, warned: Warned) -> None:
        """Put down a warning: it is durable on return. The oldest of very many go.

        Raises:
            ProjectError: The key of its MAC cannot be read or made.
            OSError: It cannot be written.
        """
        self.warnings[crossing] = warned
        newest = sorted(self.warnings.items(), key=lambda item: item[1].at)[-_MOST:]
        document = {"warnings": {name: entry._asdict() for name, entry in newest}}
        write_private(self._path, signed.dump(self._khive, _PURPOSE, document))


def is_believed(project: Project) -> bool:
    """Return whether this user's programs wrote the record of a project's warnings."""
    return signed.is_believed(project.khive, _PURPOSE, project.khive / FILE)


def crossing_of(state: BudgetState) -> str:
    """Return what a warning is of: a limit of this height, reached by this day or session."""
    return f"{state.scope} {state.unit} {state.limit:.12g} {state.subject}"


def failed_warnings(project: Project) -> list[str]:
    """Return lines that name the warnings of the last days that could not be delivered."""
    lines = []
    since = clock.to_text(clock.now() - _SHOWN)
    for warned in WarningRecord(project).warnings.values():
        if warned.at < since:
            continue
        reasons = [
            f"budget.{channel}: {warned.problems[channel]}"
            for channel in get_args(Channel)
            if warned.problems.get(channel)
        ]
        if reasons:
            lines.append(f"the warning that {warned.text} was not delivered ({'; '.join(reasons)})")
    return lines
