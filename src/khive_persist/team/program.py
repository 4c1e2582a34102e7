"""Pushing to a team and its state, as a program calls them."""

from functools import partial
from pathlib import Path

from anyio import to_thread

from khive_persist.capture.drain import drain
from khive_persist.project import Project
from khive_persist.project_search import existing_project
from khive_persist.team import push as pushing
from khive_persist.team import status
from khive_persist.team.push import Pushed
from khive_persist.team.status import TeamStatus, Withdrawn
from khive_persist.threads import Advance, silent


async def push(
    *,
    limit: int | None = None,
    is_all: bool = False,
    dir: Path | str | None = None,
    advance: Advance = silent,
) -> Pushed:
    """Send what is new to the team, in the form that the settings let leave.

    What waits in the spool is brought in before. What was acknowledged is in the ledger on return;
    a cancelled push sends the versions that were not acknowledged again, the next time.

    Args:
        limit: The largest number of versions of records to send.
        is_all: Whether all records are looked at again, and not what is new.
        dir: The directory that holds `.khive`.
        advance: A function of the number of records that were looked at since its last call.

    Raises:
        InvalidSettingsError: Nothing may leave, or a setting of `[team]` is wrong.
        StoreBusyError: Another push is at it.
        DestinationError: The team has not said that it has what was sent: it is sent again.
        MissingExtraError: What the address needs is not installed.
        ProjectError: There is no `.khive`, or a key of it or of this user's cannot be read.
        StoreError: The ledger or a database cannot be read or written.
    """
    project = await to_thread.run_sync(partial(_drained, dir))
    return await pushing.push(project, limit=limit, is_all=is_all, advance=advance)


async def team_status(dir: Path | str | None = None) -> TeamStatus:
    """Return what left a project, what waits, and what never will leave.

    Args:
        dir: The directory that holds `.khive`.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        ProjectError: There is no `.khive`, or the key of hashes cannot be read.
        StoreError: The ledger cannot be read.
    """
    project = await to_thread.run_sync(partial(_drained, dir))
    return await to_thread.run_sync(status.team_status, project)


async def team_off(
    session_id: str, *, withdraws: bool = False, dir: Path | str | None = None
) -> Withdrawn:
    """Let nothing of a session leave from now on; what has left stays, unless it is withdrawn.

    Args:
        session_id: The session's id.
        withdraws: Whether the next push takes out at the team what has left.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidRecordError: The id is empty.
        ProjectError: There is no `.khive`.
        StoreError: The ledger cannot be written.
    """
    project = await to_thread.run_sync(existing_project, dir)
    work = partial(status.switch_off, project, session_id, withdraws=withdraws)
    return await to_thread.run_sync(work)


async def team_on(session_id: str, *, dir: Path | str | None = None) -> Withdrawn:
    """Let a session leave again: the next push looks at all records, and sends what was held back.

    Args:
        session_id: The session's id.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidRecordError: The id is empty.
        ProjectError: There is no `.khive`.
        StoreError: The ledger cannot be written.
    """
    project = await to_thread.run_sync(existing_project, dir)
    return await to_thread.run_sync(status.switch_on, project, session_id)


def _drained(directory: Path | str | None) -> Project:
    project = existing_project(directory)
    drain(project)
    return project
