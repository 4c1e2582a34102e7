"""The process that warns of the limits of one project that are reached, once each.

    python -m khive_persist.maintenance.budget_warnings.run ROOT

A sync starts it, as messages come with syncs, and so does a server. It reads what is spent, and
leaves. A warning is put down before it is sent: what a killed process had begun is not sent again.
"""

import os
import sys
import time
from typing import Final, get_args

import anyio

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.capture.finished_sessions import size_of
from khive_persist.errors import KhiveError
from khive_persist.maintenance.budget_warnings.delivery import Channel, post, run_command
from khive_persist.maintenance.budget_warnings.record import (
    BEGUN,
    Warned,
    WarningRecord,
    crossing_of,
)
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.project import Project
from khive_persist.sessions.budgets import BudgetState, budget_states, budgets_of, document_of
from khive_persist.sessions.budgets import sentence as sentence_of
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from khive_persist.trust.processes import start_in_background

LOCK: Final = "budget_warnings.lock"
# A failed delivery is tried again by later processes, up to so many times in all.
ATTEMPTS: Final = 3
# Longer than another process is at it.
_WAIT_SECONDS: Final = 120.0
# All messages of a project are read again after so many seconds a byte of their file, a hundred
# times what that takes.
_SECONDS_A_BYTE: Final = 1e-6


def main() -> int:
    """Warn of what is reached."""
    os.umask(0o077)
    try:
        warn_of_budgets(Project(sys.argv[1]))
    except (KhiveError, OSError):
        # The next one tries again, and doctor says what is wrong with settings and databases.
        return 1
    return 0


def start(project: Project, settings: Settings) -> None:
    """Start the process where it is asked for; it goes on after its parent."""
    if settings.has_budget:
        start_in_background("khive_persist.maintenance.budget_warnings.run", project.root)


def warn_of_budgets(project: Project) -> list[str]:
    """Warn of each limit that is reached and not warned of; return the sentences that were sent.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        StoreError: As its subclasses say; another process was at it for two minutes.
        ProjectError: The key of the record's MAC cannot be read or made.
        OSError: The record cannot be written: nothing is sent that would be sent again.
    """
    settings = configuration.load(project.config)
    if not settings.has_budget:
        return []
    lock = project.khive / LOCK
    is_first = not os.path.lexists(lock)
    with write_lock.held(lock, _WAIT_SECONDS):
        record = WarningRecord(project)
        budgets = [budget for budget in budgets_of(project, settings) if budget.warns]
        if is_first or _is_due(project):
            os.utime(lock)
        else:
            budgets = [budget for budget in budgets if budget.scope != "project"]
        states = anyio.run(budget_states, project, settings, budgets)
        reached = [state for state in states if state.is_reached]
        return [
            sentence
            for state in reached
            if (sentence := _warn(project, settings, record, state)) is not None
        ]


def _is_due(project: Project) -> bool:
    """Return whether it is time to read all messages of a project again."""
    age = time.time() - os.stat(project.khive / LOCK).st_mtime
    size = size_of(project.database(CONVERSATIONS.file)) or 0
    return not 0 <= age < size * _SECONDS_A_BYTE


def _warn(
    project: Project, settings: Settings, record: WarningRecord, state: BudgetState
) -> str | None:
    crossing = crossing_of(state)
    previous = record.warnings.get(crossing)
    channels = _channels(settings, previous)
    if not channels:
        return None
    instant = clock.now()
    attempts = previous.attempts + 1 if previous else 1
    problems = dict(previous.problems) if previous else {}
    warned = Warned(clock.to_text(instant), sentence_of(state), attempts, problems)
    record.write(crossing, warned._replace(problems=problems | dict.fromkeys(channels, BEGUN)))
    document = document_of(state, project, instant)
    for channel in channels:
        if channel == "command":
            problems[channel] = run_command(settings.budget_command, document)
        else:
            problems[channel] = post(settings.budget_webhook, document)
    record.write(crossing, warned)
    return warned.text


def _channels(settings: Settings, previous: Warned | None) -> list[Channel]:
    """Return the channels that a warning has still to go by."""
    channels: list[Channel] = [
        channel for channel in get_args(Channel) if getattr(settings, f"budget_{channel}")
    ]
    if previous is None:
        return channels
    if previous.attempts >= ATTEMPTS:
        return []
    # One that was begun may have come; one that was not asked for then is not sent late.
    return [c for c in channels if previous.problems.get(c) not in (None, "", BEGUN)]


if __name__ == "__main__":
    sys.exit(main())
