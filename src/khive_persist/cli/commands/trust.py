"""`khive-persist trust`."""

import os
import sys

import click

from khive_persist.capture.spool import home_spool_line, waiting_at_home
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import nearest_project, with_project
from khive_persist.cli.output import cell, print_json, warn
from khive_persist.errors import ProjectError
from khive_persist.maintenance.trust.accept import Acceptance, Origin, accept, origin
from khive_persist.maintenance.trust.survey import Finding, listing, survey
from khive_persist.project import Project
from khive_persist.trust import marks, search


@click.command("trust")
@click.option("--keep", is_flag=True, help="Take what lies there as it is: it is yours.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_project
def command(keep: bool, yes: bool, as_json: bool) -> int:
    """Take a .khive for your own, after a look at what lies in it.

    A .khive that came with a clone, an archive or another program's hands is not used until then:
    hooks record into the next trusted one above, or keep the events at home for it.

    \b
      khive-persist trust           all but config.toml goes into .khive/quarantine/
      khive-persist trust --keep    it is yours: moved, restored, or from an earlier version

    Events that were kept for it come in. Nothing is deleted. A .khive that was moved is known by
    its id, and kept. With --keep all that config.toml sets counts from now on, as it is; so say it
    again when you have changed what sends, listens, or records or redacts less, or put that into
    .khive/config.local.toml.
    """
    project = _project()
    search.refuse_foreign(project.khive)
    known_origin = origin(project)
    findings = survey(project)
    if not as_json:
        _show(project, findings, known_origin)
    if not yes and sys.stdin.isatty():
        takes = keep or known_origin.has_moved or marks.is_trusted(project.khive)
        question = "take it as it is" if takes else "move all but config.toml into quarantine/"
        click.confirm(f"{question}, and trust it?", abort=True, err=True)
    acceptance = accept(project, keep=keep)
    if as_json:
        print_json(
            acceptance._asdict()
            | {
                "quarantine": acceptance.quarantine and str(acceptance.quarantine),
                "errors": list(map(str, acceptance.errors)),
                "khive": str(project.khive),
                "findings": [finding._asdict() for finding in findings],
                "known_as": [str(path) for path in known_origin.paths],
            }
        )
    else:
        _print(project, acceptance)
    return DONE if acceptance.is_marked else FAILED


def _project() -> Project:
    """Return the project that is named, or the nearest one, trusted or not."""
    project = nearest_project()
    if not os.path.lexists(project.khive):
        raise ProjectError(f"{project.khive} is not there", hint="make it with khive-persist init")
    return project


def _show(project: Project, findings: list[Finding], known_origin: Origin) -> None:
    click.echo(f"{cell(str(project.khive), None)} holds:")
    for line in listing(project) or ["nothing"]:
        click.echo(f"  {line!a}"[:200].replace("'", ""))
    for path in known_origin.paths:
        word = "known as" if known_origin.has_moved else "a copy of"
        click.echo(f"it is {word} {path}")
    for finding in findings:
        click.echo(f"not yours: {finding.path!a}: {cell(finding.line, None)}")
    waiting_count = waiting_at_home(project)
    if waiting_count:
        click.echo(cell(home_spool_line(waiting_count, project.root), None))


def _print(project: Project, acceptance: Acceptance) -> None:
    if acceptance.quarantine is not None:
        names = ", ".join(acceptance.moved)
        click.echo(cell(f"moved to {acceptance.quarantine}: {names}", None))
    if acceptance.events:
        click.echo(f"{acceptance.events} events that waited came in")
    if acceptance.waiting:
        click.echo(f"{acceptance.waiting} events still wait: see khive-persist doctor", err=True)
    for error in acceptance.errors:
        warn(f"what waited did not all come in: {error}")
    if acceptance.is_marked:
        click.echo(f"{cell(str(project.khive), None)} is trusted")
    else:
        warn(f"no mark can be kept of {project.khive}: name it by KHIVE_DIR")
