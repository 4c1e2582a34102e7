"""`khive-persist doctor`."""

import os
from collections import Counter

import anyio
import click

from khive_persist.capture import pauses
from khive_persist.capture.drain_settings import usable_settings
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import (
    drained_project,
    named_directory,
    say_removed,
    short_ids_on_screen,
    unsettled_project,
    with_project,
    with_times,
)
from khive_persist.cli.output import cell, print_fields, print_json, print_table
from khive_persist.cli.unclean_index import warn_of_index
from khive_persist.errors import ProjectError
from khive_persist.maintenance.doctor.findings import problem_findings
from khive_persist.maintenance.doctor.hooks import HookState
from khive_persist.maintenance.doctor.report import (
    Database,
    DoctorReport,
    examine,
    examine_untrusted,
    with_surroundings,
)
from khive_persist.project import Project, make_directory
from khive_persist.search_index.removal import settle
from khive_persist.search_index.state import state_line
from khive_persist.server import url_file
from khive_persist.sessions.open_tool_calls import Unmatched
from khive_persist.sessions.read import whole_id
from khive_persist.sessions.reported_costs import DIFFERENCE, SessionCost, session_cost
from khive_persist.store.sqlite.atomic_switch import is_database
from khive_persist.store.sqlite.connection import set_aside
from khive_persist.transcripts.reconciliation import Account, account
from khive_persist.trust import search

# The last field is for programs.
COLUMNS = Database._fields[:-1]


@click.command("doctor")
@click.option("--set-aside", metavar="FILE", help="Move this damaged database to quarantine/.")
@click.option("--session", "session_id", metavar="ID",
              help="Reconcile this session's events with its transcript.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_project
@with_times
def command(set_aside: str | None, session_id: str | None, as_json: bool) -> int:
    """Say what is wrong: databases, spool, hooks, events without an end.

    Exit code 1 where something was found that you should do something about. A tool call without an
    end is no such thing: it may still run, or you pressed Esc. A pause is none, either, nor is
    advice: a backup, a comparison of the copies, hooks. Below each stands the command that mends
    it. The dashboard says the same.

    \b
      khive-persist doctor
      khive-persist doctor --set-aside claude_hooks.db
      khive-persist doctor --session 3aeaa724-c75a-4fc5-9e77-8feafee36ced

    A damaged database is left as it is, and its events wait in the spool. --set-aside moves it into
    quarantine/, where nothing is ever deleted; the events then go into a new one.

    --session, by its id or the beginning of it, counts what was received, and lists the tool calls
    of its transcript that lack an event, with the reason as far as it can be told, and the hooks
    that failed, as when the server of HTTP hooks was down. `sync` reads the transcript first, and
    `sync --backfill` writes what is missing.
    """
    untrusted = _untrusted()
    lines = [] if untrusted is None else examine_untrusted(untrusted)
    if untrusted is not None and not _is_passed_over():
        return _say_untrusted(untrusted, lines, as_json=as_json)
    project = unsettled_project()
    if session_id is not None:
        drained_project()
        full_id = anyio.run(whole_id, project, session_id)
        cost = anyio.run(session_cost, project, full_id)
        return _account(anyio.run(account, project, full_id), cost, as_json=as_json)
    if set_aside is not None:
        _set_aside(project, set_aside)
    say_removed()
    report = anyio.run(examine, project)
    report = report._replace(findings=[*report.findings, *problem_findings(lines)])
    running = url_file.running_version(project)
    report = with_surroundings(report, project, server_version=running)
    if as_json:
        print_json(report)
    else:
        _print(report, project)
        for finding in report.findings:
            click.echo(f"{finding.level}: {cell(finding.text, None)}")
            if finding.command is not None and finding.command not in finding.text:
                click.echo(f"  {cell(finding.command, None)}")
        problems = len(report.problems)
        click.echo(f"{problems} problems" if problems else "nothing is wrong")
    return FAILED if report.problems else DONE


def _untrusted() -> Project | None:
    """Return the project that is named, or the nearest one, where it is not trusted."""
    if directory := named_directory():
        project = Project(directory)
        may_not = os.path.lexists(project.khive) and not search.may_be_used(project.khive)
        return project if may_not else None
    if os.environ.get("KHIVE_DIR"):
        return None
    passed = search.upward().passed
    return None if passed is None else Project(passed)


def _is_passed_over() -> bool:
    """Return whether another project is read instead."""
    return not named_directory() and Project(search.upward().root).exists()


def _say_untrusted(project: Project, lines: list[str], *, as_json: bool) -> int:
    if as_json:
        print_json({"khive": str(project.khive), "problems": lines})
    else:
        for line in lines:
            click.echo(f"problem: {ascii(line)[1:-1]}")
    return FAILED


def _account(result: Account, cost: SessionCost, *, as_json: bool) -> int:
    lacking = result.incomplete
    if as_json:
        print_json(result._replace(cost=cost))
    else:
        print_fields(
            {
                "session": result.session_id,
                "events received": result.events,
                "events reconstructed": result.reconstructed,
                "messages of transcripts": result.messages,
                "tool calls of transcripts": len(result.calls),
                "how they ended": ", ".join(f"{n} {ending}" for ending, n in result.endings.items())
                or "-",
                "tool calls that lack an event": len(lacking),
                "hooks that failed": result.failed_hooks,
                "hooks that failed, without an event": len(result.lost),
                "events after the end": result.after_end,
                "cost computed (USD)": cost.computed,
                "messages without a price": cost.unpriced,
                "cost reported by the client (USD)": cost.reported,
                "difference (USD)": cost.difference,
            }
        )
        if cost.difference:
            click.echo(DIFFERENCE)
        if lacking:
            rows = [
                (call.created_at, call.tool, call.name, call.tool_use_id, lack, call.reason)
                for call in lacking
                for lack in ["after" if call.has_pre else "before"]
            ]
            click.echo()
            print_table(("created_at", "tool", "name", "tool_use_id", "lacks", "reason"), rows, "")
        if result.lost:
            counts = Counter((failure.event, failure.reason) for failure in result.lost)
            lost_rows = [(event, count, reason) for (event, reason), count in counts.items()]
            click.echo()
            print_table(("failed hook", "without an event", "reason"), lost_rows, "")
    return FAILED if lacking or result.lost or not result.events + result.messages else DONE


def _set_aside(project: Project, file: str) -> None:
    path = project.khive / file
    if path.parent != project.khive or not is_database(path.name) or not path.is_file():
        raise ProjectError(f"{file!r} is no database of records of {project.khive}")
    make_directory(project.quarantine)
    click.echo(f"{file} was moved to {set_aside(path, project.quarantine)}", err=True)
    if settle(project, usable_settings(project)):
        warn_of_index(project)


def _print(report: DoctorReport, project: Project) -> None:
    print_fields(report.versions | {"place": report.khive})
    click.echo()
    print_table(COLUMNS, [database[: len(COLUMNS)] for database in report.databases],
                "no databases yet")  # fmt: skip
    click.echo()
    print_table(HookState._fields, report.hooks, "")
    click.echo()
    print_fields(
        {
            "events in the spool": sum(report.spool.events.values()),
            "records in the spool": sum(report.spool.records.values()),
            "files in quarantine": len(report.quarantined),
            "latest backup": report.latest_backup,
            "copies last compared": report.last_verify and report.last_verify.at,
            "search index": report.search_index and state_line(report.search_index),
            "bytes left on the disk": report.free_bytes,
            "tool calls without an end": report.unmatched_calls,
            "events not recorded in pauses": report.pause.unrecorded,
            "events not recorded by KHIVE_OFF": report.pause.unrecorded_off,
        }
    )
    for line in pauses.lines(report.pause) + pauses.environment_lines():
        click.echo(f"paused: {cell(line, None)}")
    if report.unmatched:
        ids = [calls.session_id for calls in report.unmatched]
        short = anyio.run(short_ids_on_screen, project, ids)
        print_table(Unmatched._fields, report.unmatched, "", short_ids=short)
