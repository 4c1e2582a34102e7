"""`khive-persist record`."""

import time
from functools import partial
from typing import Any, Final

import anyio
import click
from pydantic import ValidationError

from khive_persist.capture import pauses
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool, counted
from khive_persist.cli import completions
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import project_of, with_project
from khive_persist.cli.output import print_json, print_warnings, warn
from khive_persist.cli.saved import say_saved
from khive_persist.copies import second_copies
from khive_persist.errors import InvalidRecordError, ProjectError
from khive_persist.models.described import described
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN_NAMES, HOOK_EVENTS
from khive_persist.models.refusal import refusal
from khive_persist.opening import save_alone
from khive_persist.project import Project
from khive_persist.store import codec

HOOK_EVENT: Final = "hook-event"
PLAN: Final = "planner-session"


@click.command("record")
@click.argument("kind", shell_complete=completions.kinds)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("--tool", type=click.Choice(list(HOOK_EVENTS)), default="claude-code",
              show_default=True, help="The tool that sent the events.")  # fmt: skip
@click.option("--lines", is_flag=True, help="One document a line, as in JSON Lines.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(kind: str, file: Any, tool: str, lines: bool, as_json: bool) -> int:
    """Record an event, a plan or a record of your own by hand, from FILE or stdin.

    KIND is hook-event, planner-session, or the name of a kind of your own. A hook-event is a
    payload as the tool sends it; whatever it is, it is kept. A planner-session is the content of a
    plan; it needs session_id and task_description. Of a kind of your own it is the content, any
    JSON; its class is not asked. A kind is known once its class was opened in the project.

    \b
      khive-persist record planner-session plan.json
      khive-persist record hook-event --tool codex --lines < payloads.jsonl
      khive-persist record training_sessions --lines < sessions.jsonl

    Prints the ids, and the places of both copies: the database, and the JSON in sessions/. A record
    that its database cannot take now waits in the spool, and one line on stderr says so.
    """
    print_warnings()
    project = project_of()
    record = None if kind == HOOK_EVENT else _record_class(project, kind)
    read = file.read()
    documents = [line for line in read.splitlines() if line.strip()] if lines else [read]
    is_spooled = False
    if record is None:
        purpose = HOOK_EVENTS[tool]
        ids, waiting_count = _record_events(project, tool, documents)
    else:
        purpose, waiting_count = record.purpose, 0
        records = [_parsed(record, number, text) for number, text in enumerate(documents, 1)]
        ids = [record.id for record in records]
        if records:
            is_spooled = anyio.run(partial(save_alone, records, dir=project.root, are_new=True))
    path = project.spool if is_spooled else project.database(purpose.file)
    copies = [] if is_spooled else second_copies(project, purpose, ids)
    if as_json:
        print_json(
            {"ids": ids, "path": str(path), "copies": list(map(str, copies)),
             "waiting": waiting_count, "spooled": is_spooled}
        )  # fmt: skip
    else:
        for id in ids:
            click.echo(id)
        if not is_spooled:
            say_saved(len(ids), path, copies)
    if waiting_count:
        warn(f"{counted(Spool(project).waiting())} wait in {project.spool}")
    return FAILED if waiting_count else DONE


def _record_events(project: Project, tool: str, documents: list[bytes]) -> tuple[list[str], int]:
    current_pauses = pauses.CurrentPauses(project).get()
    if any(current_pauses.of_payload(document, time.time_ns()) for document in documents):
        raise ProjectError("; ".join(pauses.lines(pauses.status(project))))
    spool = Spool(project)
    ids = [spool.accept(tool, document).id for document in documents]
    return ids, drain(project).waiting_count


def _record_class(project: Project, kind: str) -> type[Node]:
    if kind == PLAN:
        return PlannerSession
    purposes = {purpose.name: purpose for purpose in known_purposes(project)}
    names = [HOOK_EVENT, PLAN, *(name for name in purposes if name not in BUILT_IN_NAMES)]
    if kind not in names:
        raise click.UsageError(f"{kind!r} is none of " + ", ".join(names))
    return described(purposes[kind])


def _parsed(record: type[Node], number: int, document: bytes) -> Node:
    try:
        return record(content=codec.load(document))
    except ValidationError as error:
        raise refusal(error, f"document {number}") from error
    except ValueError as error:
        raise InvalidRecordError(f"document {number} is no JSON ({error})") from error
