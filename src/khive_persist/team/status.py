"""The state of a project's records at its team: what left, what waits, and what never will."""

from collections.abc import Sequence
from typing import NamedTuple

from khive_persist import settings as configuration
from khive_persist.errors import InvalidRecordError, StoreDamagedError, StoreError
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite.team.ledger import (
    Ledger,
    OffSession,
    State,
    Total,
    Unsent,
)
from khive_persist.store.sqlite.team.ledger_file import ledger_file, reading
from khive_persist.team import kinds
from khive_persist.team.names import Names, manner_of
from khive_persist.team.reading import Following


class TeamStatus(NamedTuple):
    """The state of a project's records at its team.

    Attributes:
        url: The address of the team's store; an empty text for none.
        forms: The form of each kind of which something may leave, by its purpose's name.
        person: The name by which the team knows the person; an empty text where nothing may leave.
        machine: The machine's.
        project: The project's.
        pushed_at: The time of the last push that ended well; None for none.
        problem: The reason why the last push failed, or an empty text.
        totals: Sums of what left, by kind and form.
        pending: The number of records that were not looked at yet.
        withdrawing: The number of records that are to be taken out at the team, and are not yet.
        off_sessions: The sessions of which nothing leaves.
        unsent: Sums of what was removed before it left, by kind.
    """

    url: str
    forms: dict[str, str]
    person: str
    machine: str
    project: str
    pushed_at: str | None
    problem: str
    totals: Sequence[Total]
    pending: int
    withdrawing: int
    off_sessions: Sequence[OffSession]
    unsent: Sequence[Unsent]


class Withdrawn(NamedTuple):
    """The state of one session at the team.

    Attributes:
        is_changed: Whether it was another one before.
        records: The number of its records that the team has, or may have.
        withdrawing: The number of those that are to be taken out there, and are not yet.
    """

    is_changed: bool
    records: int
    withdrawing: int


_NEVER_PUSHED = State("", None, "")


def team_status(project: Project) -> TeamStatus:
    """Return what left a project, what waits, and what never will leave.

    A file that cannot be read has nothing that waits.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        ProjectError: The key of hashes cannot be read.
        StoreError: The ledger cannot be read.
    """
    settings = configuration.load(project.config)
    purposes = known_purposes(project)
    forms = {n: form for n, form in kinds.forms_of(settings, purposes).items() if form != "off"}
    names = Names(project, settings) if forms else None
    with reading(project.team_ledger) as ledger:
        state = ledger.state() if ledger else _NEVER_PUSHED
        return TeamStatus(
            url=settings.team_url,
            forms=forms,
            person=names.person if names else "",
            machine=names.machine if names else "",
            project=names.project if names else "",
            pushed_at=state.pushed_at,
            problem=state.problem,
            totals=ledger.totals() if ledger else [],
            pending=_count_pending(project, settings, names, forms, ledger) if names else 0,
            withdrawing=ledger.count_due() if ledger else 0,
            off_sessions=ledger.off_sessions() if ledger else [],
            unsent=ledger.unsent() if ledger else [],
        )


def switch_off(project: Project, session_id: str, *, withdraws: bool = False) -> Withdrawn:
    """Let nothing of a session leave from now on; what has left stays, unless it is withdrawn.

    Args:
        project: The project.
        session_id: The session's id.
        withdraws: Whether the next push takes out at the team what has left.

    Raises:
        InvalidRecordError: The id is empty.
        StoreError: The ledger cannot be written.
    """
    _check(session_id)
    with ledger_file(project) as file, file.transaction(_timeout(project)) as ledger:
        is_changed = ledger.switch_off(session_id)
        withdrawing = ledger.withdraw_session(session_id, "off") if withdraws else 0
        return Withdrawn(is_changed, ledger.count_of_session(session_id), withdrawing)


def switch_on(project: Project, session_id: str) -> Withdrawn:
    """Let a session leave again: the next push looks at all records, and sends what was held back.

    Raises:
        InvalidRecordError: The id is empty.
        StoreError: The ledger cannot be written.
    """
    _check(session_id)
    with ledger_file(project) as file, file.transaction(_timeout(project)) as ledger:
        is_changed = ledger.switch_on(session_id)
        if is_changed:
            ledger.forget_positions()
        return Withdrawn(is_changed, ledger.count_of_session(session_id), 0)


def withdraw_purged(project: Project, session_id: str) -> int:
    """Let the next push take a purged session out at the team; how many records are to go.

    Nothing is made where nothing ever left.

    Raises:
        StoreError: The ledger cannot be read or written.
    """
    try:
        with reading(project.team_ledger) as ledger:
            if ledger is None:
                return 0
    except StoreDamagedError:
        # It is set aside by who writes: quarantine has the session then.
        pass
    with ledger_file(project) as file, file.transaction(_timeout(project)) as ledger:
        return ledger.withdraw_session(session_id, "purged")


def look_again(project: Project) -> None:
    """Let the next push look at all records, as where rows were changed past the change logs.

    Raises:
        StoreError: The ledger cannot be read or written.
    """
    with reading(project.team_ledger) as ledger:
        if ledger is None:
            return
    with ledger_file(project) as file, file.transaction(_timeout(project)) as ledger:
        ledger.look_again()


def count_left(project: Project, session_id: str) -> int:
    """Count the records of a session that the team has, or may have.

    Raises:
        StoreError: The ledger cannot be read.
    """
    with reading(project.team_ledger) as ledger:
        return 0 if ledger is None else ledger.count_of_session(session_id)


def problems(project: Project) -> list[str]:
    """Return lines that say what keeps records from the team, and what never left.

    Raises:
        StoreError: The ledger cannot be read.
    """
    with reading(project.team_ledger) as ledger:
        if ledger is None:
            return []
        lines = []
        if problem := ledger.state().problem:
            lines.append(f"the last push to the team failed: {problem}")
        if count := ledger.count_due():
            lines.append(f"{count} records are not yet taken out of the team's store")
        return [*lines, *map(unsent_line, ledger.unsent())]


def unsent_line(unsent: Unsent) -> str:
    """Return the line that says what of a kind never left."""
    parts = []
    if unsent.records:
        parts.append(f"{unsent.records} records of {unsent.purpose} were removed before they left")
    if unsent.changes:
        parts.append(
            f"the log of {unsent.purpose} dropped {unsent.changes} changes before they were read:"
            " what was removed in that time never left"
        )
    return "; ".join(parts)


def _count_pending(
    project: Project,
    settings: Settings,
    names: Names,
    forms: dict[str, str],
    ledger: Ledger | None,
) -> int:
    count = 0
    for purpose in known_purposes(project):
        path = project.database(purpose.file)
        if purpose.name not in forms or not path.exists():
            continue
        manner = manner_of(forms[purpose.name], names, settings)
        following = Following(path, purpose, manner, 0.0, may_write=False)
        position = ledger.position(purpose.name) if ledger else None
        try:
            count += following.count_pending(position)
        except StoreError:
            # `doctor` names it.
            continue
    return count


def _check(session_id: str) -> None:
    if not session_id:
        raise InvalidRecordError("a session id has at least one character")


def _timeout(project: Project) -> float:
    return configuration.load(project.config).store_busy_timeout_seconds
