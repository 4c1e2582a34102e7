"""`khive-persist outcome set`."""

import anyio
import click

from khive_persist.cli import completions
from khive_persist.cli.options import drained_project, with_project
from khive_persist.cli.output import print_json
from khive_persist.cli.saved import say_saved
from khive_persist.copies import second_copies
from khive_persist.models.as_document import document
from khive_persist.models.outcome import VERDICTS, Outcome, Verdict
from khive_persist.models.purposes import OUTCOMES
from khive_persist.project import Project
from khive_persist.sessions.verdicts import find_session, record_outcome


@click.group("outcome")
def command() -> None:
    """Say how a session ended.

    \b
      khive-persist outcome set 3aeaa724 success
      khive-persist outcome set 3aeaa724 partial --note "the tests are missing"

    `khive-persist outcomes` shows it beside the plan, and reckons from it how far the planner's
    confidence can be trusted.
    """


@command.command("set")
@click.argument("session", shell_complete=completions.sessions)
@click.argument("verdict", type=click.Choice(VERDICTS), metavar="VERDICT")
@click.option("--note", metavar="TEXT", help="Why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def set_(session: str, verdict: Verdict, note: str | None, as_json: bool) -> None:
    """Record a verdict on a session: success, partial or failure.

    SESSION is the id of the agent's session or of the plan's, or the beginning of one. What was
    recorded before stays; the latest counts. Prints the verdict's id, and the places of both
    copies.
    """
    project = drained_project()
    saved = anyio.run(_set, project, session, verdict, note)
    path, copies = project.database(OUTCOMES.file), second_copies(project, OUTCOMES, [saved.id])
    if as_json:
        print_json(document(saved) | {"path": str(path), "copies": list(map(str, copies))})
    else:
        click.echo(saved.id)
        click.echo(f"{verdict} recorded for session {saved.content['session_id']}", err=True)
        say_saved(1, path, copies)


async def _set(project: Project, session: str, verdict: Verdict, note: str | None) -> Outcome:
    full_id = await find_session(project, session)
    return await record_outcome(full_id, verdict, note=note, dir=project.root)
