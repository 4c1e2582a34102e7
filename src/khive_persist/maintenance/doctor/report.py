"""Examine the project itself: its databases, spool, mirror, backups and settings."""

import os
import platform
import shlex
import stat
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Final, NamedTuple, get_args

from khive_persist import settings as configuration
from khive_persist.capture import pauses
from khive_persist.capture.drain import drain, usable_settings
from khive_persist.capture.home_limits import dropped_lines
from khive_persist.capture.notices import diverted, untrusted_line
from khive_persist.capture.pauses import PauseStatus
from khive_persist.capture.record_file import RecordFile
from khive_persist.capture.spool import (
    Event,
    Spool,
    counted,
    home_spool_line,
    parse,
    waiting_at_home,
)
from khive_persist.clock import InstantText
from khive_persist.copies import Verified, verify
from khive_persist.errors import (
    InvalidRecordError,
    InvalidSettingsError,
    KhiveError,
    StoreDamagedError,
)
from khive_persist.hints import command_in
from khive_persist.maintenance.doctor import care, clients, disk, sessions
from khive_persist.maintenance.doctor.findings import (
    Finding,
    Level,
    problem_findings,
    texts_of,
)
from khive_persist.maintenance.doctor.hooks import HookState, compiled_hook, examine_hooks
from khive_persist.maintenance.trust.survey import Finding as SurveyFinding
from khive_persist.maintenance.trust.survey import listing, survey
from khive_persist.mirror.packing import packing_problems
from khive_persist.mirror.verify_record import LastVerify, read_last_verify
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN, CONVERSATIONS, EVENT_FILES
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.redaction.own_patterns import OUT_OF_TIME
from khive_persist.search_index.state import IndexState, index_state
from khive_persist.sessions.open_tool_calls import Unmatched, find_unmatched
from khive_persist.store.sqlite import change_log, health, migrations
from khive_persist.store.sqlite import connection as sqlite
from khive_persist.store.sqlite.atomic_switch import is_database
from khive_persist.store.sqlite.errors import translated
from khive_persist.store.sqlite.mirror_progress import MIRROR
from khive_persist.trust import marks, search

_ASIDE_SHOWN: Final = 10
_UNMATCHED_SHOWN: Final = 20


class Database(NamedTuple):
    """One database file.

    Attributes:
        file: The name in `.khive`.
        bytes: The size, sidecars included.
        rows: The number of records, or None where that cannot be read.
        last: The `created_at` of its newest record, or None.
        problem: The problem with it, or an empty string.
        wal_bytes: The size of its write-ahead log, which `bytes` has, too.
        is_damaged: Whether the problem is its content.
    """

    file: str
    bytes: int
    rows: int | None
    last: InstantText | None
    problem: str
    wal_bytes: int = 0
    is_damaged: bool = False


class SpoolState(NamedTuple):
    """The contents of the spool.

    Attributes:
        events: The number of events that wait here, by tool.
        records: The number of records that wait here, by kind.
        oldest_seconds: The age of the oldest; None where nothing waits.
        waiting_elsewhere: Those that lie in the home directory's spool for this project.
    """

    events: dict[str, int]
    records: dict[str, int]
    oldest_seconds: float | None
    waiting_elsewhere: int


class DoctorReport(NamedTuple):
    """The result of an examination.

    Attributes:
        versions: The versions of this program, Python, SQLite, the schema and the compiled hook.
        khive: The path of `.khive`.
        databases: Every database file.
        spool: The contents of the spool.
        quarantined: The names in `quarantine/`.
        unmatched: Tool calls without an end, the latest first, at most 20.
        unmatched_calls: The number of all of them.
        problems: The problems that need a person, each one line; empty when all is well.
        pause: The pauses in which nothing is recorded, as the person wanted: no problem.
        hooks: The states of our hook, where the tools' settings were looked at.
        findings: The problems, then pauses and advice, each with the command that mends it.
        free_bytes: The room on the disk of the project; None where nothing tells.
        latest_backup: The time of the latest backup; None for none, and for one in a bucket.
        last_verify: The last comparison of both copies; None where none was made.
        search_index: The state of the index of the search.
    """

    versions: dict[str, str]
    khive: str
    databases: list[Database]
    spool: SpoolState
    quarantined: list[str]
    unmatched: list[Unmatched]
    unmatched_calls: int
    problems: list[str]
    pause: PauseStatus
    hooks: Sequence[HookState] = ()
    findings: Sequence[Finding] = ()
    free_bytes: int | None = None
    latest_backup: InstantText | None = None
    last_verify: LastVerify | None = None
    search_index: IndexState | None = None


async def examine(project: Project, *, thoroughly: bool = True) -> DoctorReport:
    """Examine a project: every database is read in full, and what waits in the spool is drained.

    Args:
        thoroughly: Whether to compare both copies record by record, and to look for sessions whose
            transcripts no event tells of.
    """
    findings = [_of_survey(project, entry) for entry in survey(project)]
    for project_path, count in diverted(project).items():
        line = f"{count} events of {project_path} wait here: it is not trusted, or cannot take them"
        findings += problem_findings([line], command_in(Path(project_path), "trust"))
    findings += problem_findings(dropped_lines())
    pause = pauses.status(project)
    findings += problem_findings([pause.problem] if pause.problem else [])
    findings += problem_findings(_without_marks(project))
    settings = usable_settings(project)
    try:
        configuration.load(project.config)
    except InvalidSettingsError as error:
        findings += problem_findings([f"{error}; the defaults hold until it is mended"])
    findings += _open_to_others(project)
    drained = drain(project)
    undrained = (*drained.errors, *drained.unreached)
    findings += problem_findings(f"not drained: {error}" for error in undrained)
    tables, unknown = _tables(project)
    findings += problem_findings(unknown)
    databases = [_examine_database(project, file, tables) for file in _files(project)]
    for database in databases:
        if database.problem:
            findings += problem_findings([database.problem], _mending(project, database))
    findings += problem_findings(_out_of_time(project, databases, tables))
    spool = _examine_spool(project)
    findings += problem_findings(
        (line for file in databases if (line := _lag(project, file))),
        command_in(project.root, "rebuild", "--from-database"),
    )
    state = index_state(project)
    findings += problem_findings(
        [state.problem] if state.problem else [], command_in(project.root, "rebuild", "--search")
    )
    findings += problem_findings(
        packing_problems(project), command_in(project.root, "rebuild", "--from-database")
    )
    pending = Spool(project).waiting()
    if pending:
        findings += problem_findings([f"{counted(pending)} wait in {project.spool}"])
    if spool.waiting_elsewhere:
        line = home_spool_line(spool.waiting_elsewhere, project.root)
        findings += problem_findings([line], command_in(project.root, "trust"))
    findings += problem_findings(disk.unwritable(project))
    findings += problem_findings(disk.grown_logs(project, [d.file for d in databases]))
    findings += problem_findings(clients.lost_events())
    findings += problem_findings(_events_aside(project))
    free = care.free_bytes(project)
    findings += care.disk_findings(project, free)
    has_records = any(database.rows for database in databases)
    of_backups, latest_backup = care.backup_findings(project, settings, has_records=has_records)
    findings += of_backups + care.budget_findings(project) + care.team_findings(project)
    unmatched: list[Unmatched] = []
    comparison: Verified | None = None
    sound = {database.file for database in databases if not database.problem}
    purposes = [purpose for purpose in EVENT_FILES.values() if purpose.file in sound]
    try:
        async with reading(project, *purposes) as reader:
            unmatched = await find_unmatched(reader)
        findings += problem_findings(await clients.unknown_clients(project, purposes))
        if CONVERSATIONS.file in sound:
            findings += problem_findings(await clients.unknown_lines(project))
        if thoroughly:
            findings += problem_findings(
                await sessions.unrecorded(project), command_in(project.root, "sync", "--backfill")
            )
            if not texts_of(findings) and _has_locks(project, sound):
                comparison = await verify(dir=project.root)
    except KhiveError as error:
        findings += problem_findings([str(error)])
    last_verify = read_last_verify(project)
    if comparison is not None:
        findings += _unequal(project, comparison)
    else:
        findings += care.comparison_findings(project, last_verify, has_records=has_records)
    findings += [
        Finding("paused", line, None if entry is None else pauses.resuming_command(entry))
        for line, entry in zip_longest(pauses.lines(pause), pause.pauses)
    ]
    return DoctorReport(
        versions={
            "khive-persist": version("khive-persist"),
            "python": platform.python_version(),
            "sqlite": sqlite.VERSION,
            "schema": str(migrations.LATEST),
            "hook": compiled_hook(),
        },
        khive=str(project.khive),
        databases=databases,
        spool=spool,
        quarantined=_names(project.quarantine),
        unmatched=unmatched[:_UNMATCHED_SHOWN],
        unmatched_calls=sum(tool.calls for tool in unmatched),
        problems=texts_of(findings),
        pause=pause,
        findings=findings,
        free_bytes=free,
        latest_backup=latest_backup,
        last_verify=last_verify,
        search_index=state,
    )


def with_surroundings(
    report: DoctorReport, project: Project, *, asks_server: bool = True, server_version: str = ""
) -> DoctorReport:
    """Return a report with what is around the project: hooks in the tools' settings, a server.

    Args:
        asks_server: Whether to ask the server of HTTP hooks if it takes events.
        server_version: The version of the server that runs, or an empty text.
    """
    hooks, of_hooks = examine_hooks(project, asks_server=asks_server)
    findings = [
        *report.findings,
        *of_hooks,
        *care.installation_findings(project, hooks),
        *care.server_findings(server_version, report.versions["khive-persist"]),
    ]
    findings.sort(key=lambda finding: get_args(Level).index(finding.level))
    return report._replace(hooks=hooks, findings=findings, problems=texts_of(findings))


def _of_survey(project: Project, entry: SurveyFinding) -> Finding:
    """Return what does not count in a project, with the command that takes or removes it."""
    words = ("trust", "--keep") if entry.kind == "settings" else ("trust",)
    line = f"{project.khive / entry.path}: {entry.line}"
    return Finding("problem", line, command_in(project.root, *words))


def _mending(project: Project, database: Database) -> str | None:
    """Return the command that mends a database, where one does."""
    path = project.database(database.file)
    if database.problem.endswith("chmod 600 it"):
        return shlex.join(("chmod", "600", str(path)))
    if database.is_damaged:
        return command_in(project.root, "doctor", "--set-aside", database.file)
    return None


def _has_locks(project: Project, files: set[str]) -> bool:
    """Return whether a comparison makes no file in the project, as a reader must not."""
    locks = [project.database(f"{file}{end}") for file in files for end in (".lock", ".gate.lock")]
    return project.exists() and all(lock.exists() for lock in locks)


def _unequal(project: Project, comparison: Verified) -> list[Finding]:
    """Return a problem that counts the differences of the two copies, or nothing."""
    if comparison.is_equal:
        return []
    kinds = Counter(difference.kind for difference in comparison.differences)
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    line = f"the copies in {project.khive} differ ({counts}): khive-persist verify lists each"
    return problem_findings([line], command_in(project.root, "verify"))


def _lag(project: Project, database: Database) -> str:
    """Return the line on the changes that the mirror of a sound file lacks, or ""."""
    path = project.database(database.file)
    if database.problem:
        return ""
    try:
        with sqlite.opened_reader(path) as connection, translated(path):
            count = change_log.uncopied(connection, MIRROR)
    except KhiveError as error:
        return str(error)
    if count is None:
        return f"{path}: the mirror may lack some of it: run khive-persist rebuild --from-database"
    return f"{path}: the mirror lacks {count} of its changes" if count else ""


def examine_untrusted(project: Project) -> list[str]:
    """Return the problems of a project that is not trusted, each one line; none of it is used."""
    lines = [untrusted_line(project)]
    if stat.S_ISDIR(_mode(project.khive)):
        lines += [f"{project.khive / finding.path}: {finding.line}" for finding in survey(project)]
        lines += [f"{project.khive} holds {line}" for line in listing(project)]
    return lines


def _files(project: Project) -> list[str]:
    built_in = [purpose.file for purpose in BUILT_IN]
    others = sorted(name for name in _names(project.khive) if is_database(name))
    present = [name for name in built_in if os.path.lexists(project.database(name))]
    return present + [name for name in others if name not in built_in]


def _tables(project: Project) -> tuple[dict[str, str], list[str]]:
    """Return the table of each file whose purpose is known, and the reason why others are not."""
    try:
        purposes, problems = known_purposes(project), []
    except InvalidRecordError as error:
        purposes, problems = BUILT_IN, [str(error)]
    return {purpose.file: purpose.table for purpose in purposes}, problems


def _examine_database(project: Project, file: str, tables: Mapping[str, str]) -> Database:
    path = project.database(file)
    sizes = [_size(path.with_name(file + suffix)) for suffix in ("-wal", "", "-shm")]
    database = Database(file, sum(sizes), None, None, "", sizes[0])
    try:
        sqlite.check(path)
        rows, last, malformed = health.count_rows(path, tables.get(file, path.stem))
    except KhiveError as error:
        is_damaged = isinstance(error, StoreDamagedError)
        return database._replace(problem=str(error), is_damaged=is_damaged)
    problem = ""
    if malformed:
        problem = f"{path}: the content of {malformed} rows is no JSON; its indexes cannot be made"
    elif path.lstat().st_mode & 0o077:
        problem = f"{path} is open to others: chmod 600 it"
    return database._replace(rows=rows, last=last, problem=problem)


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _out_of_time(
    project: Project, databases: Sequence[Database], tables: Mapping[str, str]
) -> list[str]:
    """Name the person's own expressions that redaction had no time for."""
    problems = []
    for file in (database.file for database in databases if database.rows):
        path = project.database(file)
        counts = health.count_redactions(path, tables.get(file, path.stem), f"{OUT_OF_TIME}_")
        for kind, rows in counts.items():
            setting, _, number = kind.removeprefix(f"{OUT_OF_TIME}_").partition("_")
            problems.append(
                f"expression {number} of redaction.{setting} ran out of time on {rows} rows of"
                f" {file}, of which more is redacted than it says: make it simpler"
            )
    return problems


def _examine_spool(project: Project) -> SpoolState:
    files = Spool(project).waiting()
    elsewhere = waiting_at_home(project)
    oldest = (time.time_ns() - files[0].arrival_ns) / 1e9 if files else None
    events = Counter(file.tool for file in files if isinstance(file, Event))
    records = Counter(file.purpose for file in files if isinstance(file, RecordFile))
    return SpoolState(events, records, oldest, elsewhere)


def _events_aside(project: Project) -> list[str]:
    """Name the events that no drain could bring in."""
    names = [name for name in _names(project.quarantine) if parse(name)]
    lines = [f"{name} could not be brought in: it lies in {project.quarantine}" for name in names]
    hidden = len(lines) - _ASIDE_SHOWN
    return [*lines[:_ASIDE_SHOWN], f"{hidden} more events lie there"] if hidden > 0 else lines


def _open_to_others(project: Project) -> list[Finding]:
    findings = []
    for path in (project.khive, project.spool, project.sessions):
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "not a directory"
            line = f"{path} is {kind}: it is not used; put a directory there"
            findings += problem_findings([line])
        elif mode & 0o077:
            command = shlex.join(("chmod", "700", str(path)))
            findings += problem_findings([f"{path} is open to others: chmod 700 it"], command)
    return findings


def _without_marks(project: Project) -> list[str]:
    """Return a line with the reason why no mark can be kept, where none can."""
    if marks.is_trusted(project.khive):
        return []
    no_home = "neither KHIVE_HOME nor a home directory can be written"
    reason = no_home if marks.state_home() is None else "it has none yet"
    line = f"{project.khive} is used as its owner named it; there is no mark of it: {reason}"
    return [f"{line}; it ends with this machine" if search.is_fleeting() else line]


def _mode(path: Path) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def _names(path: Path) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
