"""`khive-persist uninstall`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from khive_persist.capture.drain import drain
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import named_directory, with_project
from khive_persist.cli.output import cell, print_json, warn
from khive_persist.errors import KhiveError
from khive_persist.maintenance.uninstall import (
    Removed,
    known_projects,
    remove_copies,
    remove_data,
    remove_hooks,
    remove_marks,
)
from khive_persist.project import Project
from khive_persist.trust import marks


@click.command("uninstall")
@click.option("--data", "with_data", is_flag=True,
              help="Also delete what was recorded, of each project that you confirm.")  # fmt: skip
@click.option("--confirm", "names", metavar="NAME", multiple=True,
              help="With --data: a project to delete, by its path or its last part.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@with_project
def command(with_data: bool, names: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Take recording out of this machine; what was recorded stays.

    \b
      khive-persist uninstall --dry-run
      khive-persist uninstall
      khive-persist uninstall --data

    Removed are the hooks of all clients, in your own settings and in those of each project that you
    trust and of this directory, and what `completion install` wrote, where each file is as it was
    before; the units of `serve --install`; the copies of the hook in ~/.khive/bin; and the marks of
    trusted projects. Each is named. Where a client's file cannot be changed, the copies and the
    marks stay until you have mended it and say it again. Done twice, nothing is left to remove.

    With --data the .khive of each project goes, too, with its mirror, its backups and its settings:
    you are asked to type its name. Without a terminal only those go that --confirm names. A project
    that is not confirmed stays, and the exit code is 1.

    The program itself is removed by what has installed it, as pip or uv.
    """
    if names and not with_data:
        raise click.UsageError("--confirm goes with --data")
    projects = known_projects(Path(named_directory() or "."))
    if not dry_run:
        _drain(projects)
    recorded = [project for project in projects if project.exists()]
    trusted = [project for project in recorded if marks.is_trusted(project.khive)]
    removed, failures = remove_hooks(projects, dry_run=dry_run)
    errors = list(map(str, failures))
    removed += _remove_units(projects, dry_run=dry_run)
    errors += _remove_completions(removed, dry_run=dry_run)
    if not errors:
        removed += remove_copies(dry_run=dry_run)
        removed += remove_marks(dry_run=dry_run)
        for project in _ordered(trusted) if with_data else ():
            if not dry_run and not _is_confirmed(_names_of(project, trusted), names):
                errors.append(f"{project.khive} stays: it was not confirmed")
                continue
            try:
                removed.append(remove_data(project, dry_run=dry_run))
            except (KhiveError, OSError) as error:
                errors.append(f"{project.khive}: {error}")
    if as_json:
        documents = [entry._asdict() | {"path": str(entry.path)} for entry in removed]
        print_json({"removed": documents, "errors": errors, "dry_run": dry_run})
    else:
        _print(removed, [] if with_data else recorded, dry_run=dry_run)
    for line in errors:
        warn(line)
    return FAILED if errors else DONE


def _drain(projects: Sequence[Project]) -> None:
    """Bring in what waits: without its mark a project takes nothing any more."""
    for project in projects:
        if project.exists() and marks.is_trusted(project.khive):
            drain(project)


def _remove_units(projects: Sequence[Project], *, dry_run: bool) -> list[Removed]:
    from khive_persist.server import service_units

    removed = []
    for project in projects:
        if not str(project.root).isprintable():
            continue
        unit = service_units.unit_of(project)
        if os.path.lexists(unit.path):
            if not dry_run:
                service_units.uninstall(unit)
            about = f"stop it by: {'; '.join(unit.to_stop)}"
            removed.append(Removed("server unit", unit.path, about))
    return removed


def _remove_completions(removed: list[Removed], *, dry_run: bool) -> list[str]:
    """Add the files of `completion install` to what is removed, and return the errors."""
    from khive_persist.cli import completion_files

    errors = []
    for shell in completion_files.SHELLS:
        try:
            act = completion_files.installed_files if dry_run else completion_files.uninstall
            removed += [Removed("completion", path, f"of {shell}") for path in act(shell)]
        except (KhiveError, OSError) as error:
            errors.append(str(error))
    return errors


def _ordered(projects: Sequence[Project]) -> list[Project]:
    """Return the home last: its folder is the state folder of the others."""
    return sorted(projects, key=lambda project: marks.is_state(project.khive))


def _names_of(project: Project, projects: Sequence[Project]) -> list[str]:
    """Return what a project may be confirmed by: its path, and its last part if no other has it."""
    path, name = str(project.root), project.root.name
    is_alone = sum(other.root.name == name for other in projects) == 1
    return [name, path] if is_alone else [path]


def _is_confirmed(own_names: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether a project is to be deleted, asking on a terminal."""
    if any(name in own_names for name in names):
        return True
    if names or not sys.stdin.isatty():
        return False
    typed = click.prompt(
        f"All that was recorded in {cell(own_names[-1])} would be deleted."
        f" Type {cell(own_names[0])} to delete it, or nothing to keep it",
        default="", show_default=False, err=True,
    )  # fmt: skip
    return typed in own_names


def _print(removed: Sequence[Removed], remaining: Sequence[Project], *, dry_run: bool) -> None:
    verb = "would be removed" if dry_run else "removed"
    for entry in removed:
        click.echo(f"{entry.kind} {verb}: {cell(str(entry.path))} ({entry.about})")
    if not removed:
        click.echo("nothing is installed")
    for project in remaining:
        click.echo(f"stays: {cell(str(project.khive))}")
