"""Say what a careful person would do: backups, comparisons, room on the disk, hooks, budgets."""

import shutil
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidSettingsError, KhiveError, StoreError
from khive_persist.hints import command_in
from khive_persist.maintenance.backup.catalogue import AHEAD, Catalogue, read_catalogue
from khive_persist.maintenance.backup.destination import open_destination
from khive_persist.maintenance.budget_warnings.record import failed_warnings
from khive_persist.maintenance.doctor.findings import Finding, problem_findings
from khive_persist.maintenance.doctor.hooks import HookState
from khive_persist.mirror.verify_record import LastVerify
from khive_persist.project import Project
from khive_persist.settings import HOME_ONLY, PERSONAL, Settings, dotted
from khive_persist.team.status import problems

_OLD_BACKUP: Final = timedelta(days=7)
_OLD_COMPARISON: Final = timedelta(days=30)
# A schedule is not kept where as much time as two of its intervals has passed.
_INTERVALS: Final = 2
_FULL_BYTES: Final = 64 << 20
_SCARCE_BYTES: Final = 1 << 30


def backup_findings(
    project: Project, settings: Settings, *, has_records: bool
) -> tuple[list[Finding], InstantText | None]:
    """Return what is to be said of the backups, and when the latest was made.

    Backups in a bucket are not looked at: an examination reaches for no network.
    """
    findings, latest = _of_catalogue(project, "")
    destination = settings.backup_destination
    if destination.startswith("s3://"):
        return findings, None
    if destination:
        others, latest = _of_catalogue(project, destination)
        findings += others
    if not has_records:
        return findings, latest
    command = command_in(project.root, "backup", "create")
    if latest is None:
        findings.append(Finding("advice", f"{project.khive} has no backup", command))
        return findings, None
    age = _age(latest)
    hours = settings.backup_every_hours
    if hours and age > _INTERVALS * timedelta(hours=min(hours, 1e6)):
        findings.append(
            Finding(
                "problem",
                f"the latest backup is of {latest[:16]}, though one is due every {hours:g} hours:"
                " neither a server nor `backup create --if-due` has made it",
                command,
            )
        )
    elif not hours and age > _OLD_BACKUP:
        findings.append(Finding("advice", f"the latest backup is {age.days} days old", command))
    return findings, latest


def comparison_findings(
    project: Project, last: LastVerify | None, *, has_records: bool
) -> list[Finding]:
    """Return what is to be said of the last comparison of both copies."""
    command = command_in(project.root, "verify")
    if last is None:
        text = f"the two copies in {project.khive} were never compared"
        return [Finding("advice", text, command)] if has_records else []
    if not last.is_equal:
        text = f"the two copies in {project.khive} differed at {last.at[:16]}, when last compared"
        return [Finding("problem", text, command)]
    age = _age(last.at)
    if age > _OLD_COMPARISON:
        text = f"the two copies in {project.khive} were compared {age.days} days ago"
        return [Finding("advice", text, command)]
    return []


def free_bytes(project: Project) -> int | None:
    """Return how much may still be written to the disk of a project; None where none tells."""
    try:
        return shutil.disk_usage(project.khive).free
    except OSError:
        return None


def disk_findings(project: Project, free: int | None) -> list[Finding]:
    """Return what is to be said of the room on the disk."""
    if free is None or free >= _SCARCE_BYTES:
        return []
    text = f"the disk of {project.khive} has {free >> 20} MiB left"
    command = command_in(project.root, "prune", "--dry-run")
    if free < _FULL_BYTES:
        return [Finding("problem", f"{text}: events will soon find no room", command)]
    return [Finding("advice", text, command)]


def installation_findings(project: Project, hooks: Sequence[HookState]) -> list[Finding]:
    """Return advice where no tool has our hooks, so that nothing is recorded by itself."""
    if any(hook.state != "not installed" for hook in hooks):
        return []
    text = "no tool has our hooks: what agents do is not recorded"
    return [Finding("advice", text, command_in(project.root, "hooks", "install", "--all"))]


def budget_findings(project: Project) -> list[Finding]:
    """Return the warnings that were not delivered, and settings of a project that warn nobody."""
    findings = problem_findings(failed_warnings(project))
    try:
        ignored = sorted(configuration.untrusted_values(project.config, HOME_ONLY | PERSONAL))
    except InvalidSettingsError:
        ignored = []
    findings += problem_findings(
        f"{project.config} sets {dotted(name)}, which counts in"
        f"{f' {configuration.LOCAL} and' if name in PERSONAL else ''} the home's config.toml alone"
        for name in ignored
    )
    return findings


def team_findings(project: Project) -> list[Finding]:
    """Return what keeps records from the team, and what never left."""
    try:
        return problem_findings(problems(project))
    except StoreError as error:
        return problem_findings([str(error)])


def server_findings(running: str, installed: str) -> list[Finding]:
    """Return a problem where a server is of another version than what is installed."""
    if not running or running == installed:
        return []
    text = f"the server is khive-persist {running}, and {installed} is installed: start it again"
    return [Finding("problem", text)]


def _of_catalogue(project: Project, destination: str) -> tuple[list[Finding], InstantText | None]:
    try:
        catalogue = read_catalogue(open_destination(project, destination))
    except KhiveError as error:
        return problem_findings([str(error)]), None
    findings = problem_findings(
        map(str, catalogue.damaged.values()), command_in(project.root, "backup", "verify")
    )
    findings += problem_findings(
        (f"backup {id} is {AHEAD}" for id in catalogue.ahead),
        command_in(project.root, "backup", "list"),
    )
    return findings, _latest(catalogue)


def _age(at: InstantText) -> timedelta:
    instant = clock.now()
    return instant - (clock.from_column(at) or instant)


def _latest(catalogue: Catalogue) -> InstantText | None:
    return clock.to_text(catalogue.dated[-1].created) if catalogue.dated else None
