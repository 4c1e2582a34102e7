"""`khive-persist backup create|list|verify|restore|prune`."""

import os
from collections.abc import Callable
from typing import Any

import click

from khive_persist.cli.confirm import confirm
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import (
    existing_project,
    project_of,
    with_limit,
    with_project,
    with_times,
)
from khive_persist.cli.output import print_json, print_table
from khive_persist.cli.progress import progress
from khive_persist.cli.unclean_index import warn_of_index
from khive_persist.maintenance.backup.backups import Backups, Compression
from khive_persist.maintenance.backup.catalogue import AHEAD, UNFINISHED, Catalogue
from khive_persist.maintenance.backup.prune import delete_backups
from khive_persist.project import Project
from khive_persist.store.sqlite import atomic_switch

COLUMNS = (
    "id",
    "created_at",
    "kind",
    "parent",
    "rows",
    "content_bytes",
    "stored_bytes",
    "stored_as",
)


@click.group("backup")
def command() -> None:
    """Make, verify and restore backups of all databases.

    \b
      khive-persist backup create
      khive-persist backup create --since latest --recipient age1…
      khive-persist backup restore latest

    A backup is made while others write. Everything that was recorded before is in it. It lies in
    .khive/backups, or where --destination or config.toml say.
    """


def _with_destination(function: Callable[..., Any]) -> Callable[..., Any]:
    destination = click.option(
        "--destination", metavar="WHERE", help="A folder, or s3://bucket/prefix."
    )
    endpoint = click.option(
        "--endpoint", metavar="URL", default="", help="Of the S3 service; else AWS_ENDPOINT_URL."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
    return destination(endpoint(as_json(with_project(function))))


_with_identities = click.option(
    "--identity", "identities", multiple=True, metavar="FILE", help="A file with an age secret key."
)
_with_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@command.command("create")
@_with_destination
@click.option("--since", metavar="ID", default="", help="Store only what changed since; or latest.")
@click.option("--if-due", is_flag=True, help="Only if the schedule of config.toml says so.")
@click.option(
    "--recipient", "recipients", multiple=True, metavar="KEY",
    help="Encrypt for this age or SSH public key, or the keys in a file.",
)  # fmt: skip
@click.option("--compression", type=click.Choice(["auto", "zstd", "none"]), help="Default: auto.")
@_with_identities
def create_command(
    destination: str | None,
    endpoint: str,
    as_json: bool,
    since: str,
    if_due: bool,
    recipients: tuple[str, ...],
    compression: Compression | None,
    identities: tuple[str, ...],
) -> None:
    """Back up every database, config.toml and the mirror, while others write.

    With --since it can be restored only together with that backup, and with what that one is based
    on. Where that one is encrypted, --identity is needed to know what it has.

    With --if-due nothing is done until the schedule under [backup] in config.toml says so; it also
    says whether the backup is full, and what had its time is deleted then. Start it as often as you
    like, as from cron.
    """
    backups = Backups(existing_project(), destination, endpoint)
    if if_due or since:
        _say_ahead(backups.catalogue())
    with progress("bytes") as advance:
        manifest = backups.create(
            since=since,
            only_if_due=if_due,
            recipients=recipients,
            compression=compression,
            identities=identities,
            progress=advance,
        )
    if manifest is None:
        click.echo("no backup is due", err=True)
        return
    if as_json:
        print_json(manifest.as_document())
    else:
        click.echo(
            f"{manifest.id}: {manifest.rows} rows, {manifest.content_bytes} bytes, of which"
            f" {manifest.stored_bytes} were stored in {backups.target} ({manifest.stored_as})"
        )


@command.command("list")
@_with_destination
@with_limit()
@with_times
def list_command(destination: str | None, endpoint: str, as_json: bool, limit: int | None) -> int:
    """List backups, the oldest first; with --limit the newest of them.

    Exit code 1 where the manifest of one is damaged.
    """
    backups = Backups(project_of(), destination, endpoint)
    catalogue = backups.catalogue()
    if limit is not None:
        manifests = [*catalogue.manifests.items()]
        catalogue = catalogue._replace(manifests=dict(manifests[max(0, len(manifests) - limit) :]))
    damaged = {id: str(error) for id, error in catalogue.damaged.items()}
    if as_json:
        print_json(catalogue.as_document())
    else:
        rows = [
            [getattr(manifest, name) for name in COLUMNS]
            for manifest in catalogue.manifests.values()
        ]
        print_table(COLUMNS, rows, f"no backups in {backups.target}")
        for problem in damaged.values():
            click.echo(f"problem: {problem}")
        _say_unfinished(catalogue)
    _say_ahead(catalogue)
    return FAILED if damaged else DONE


@command.command("verify")
@_with_destination
@click.argument("ids", nargs=-1, metavar="[ID]...")
def verify_command(
    destination: str | None, endpoint: str, as_json: bool, ids: tuple[str, ...]
) -> int:
    """Compare every byte of backups, and of what they are based on, with their digests.

    Of all backups, if none is named. No key is needed. Exit code 1 where one cannot be restored.
    """
    backups = Backups(project_of(), destination, endpoint)
    catalogue = backups.catalogue()
    total = (
        sum(manifest.stored_bytes for manifest in catalogue.manifests.values()) if not ids else None
    )
    with progress("bytes", total) as advance:
        results = backups.verify(catalogue, ids, advance)
    if as_json:
        print_json([result._asdict() for result in results])
    else:
        rows = [(result.id, "; ".join(result.problems) or "sound") for result in results]
        print_table(("id", "state"), rows, f"no backups in {backups.target}")
        _say_unfinished(catalogue)
    return FAILED if any(result.problems for result in results) else DONE


@command.command("restore")
@_with_destination
@click.argument("id", metavar="ID|latest")
@_with_identities
@_with_yes
def restore_command(
    destination: str | None,
    endpoint: str,
    as_json: bool,
    id: str,
    identities: tuple[str, ...],
    yes: bool,
) -> None:
    """Make all databases and the mirror those of a backup.

    Everything is checked before anything is replaced. What is replaced is moved to quarantine/.
    Interrupted at any point, all of the old is there, or all of the new. config.toml is restored
    only where there is none. Events that wait in the spool come into the restored databases.
    """
    project = project_of()
    backups = Backups(project, destination, endpoint)
    catalogue = backups.catalogue()
    manifest = catalogue.find(id)
    _say_ahead(catalogue)
    chain = catalogue.chain(manifest)
    databases = _databases(project)
    if databases:
        confirm(
            f"replace {', '.join(databases)} in {project.khive} by those of {manifest.id}",
            yes=yes,
        )
    with progress("bytes", sum(member.pack.content_bytes for member in chain)) as advance:
        restored = backups.restore(catalogue, manifest, identities, advance)
    if as_json:
        print_json(
            {
                "backup": manifest.as_document(),
                "set_aside": restored.set_aside and str(restored.set_aside),
                "config_kept": restored.config_kept,
                "purged": restored.purged,
                "index_is_clean": restored.index_is_clean,
            }
        )
        return
    rows = manifest.rows - restored.purged
    names = ", ".join(_databases(project))
    click.echo(f"{manifest.id} restored: {rows} rows in {names} of {project.khive}")
    click.echo(f"and a second time, as JSON, in {project.sessions}")
    if restored.purged:
        click.echo(
            f"{restored.purged} rows did not come: their sessions were purged since", err=True
        )
    if restored.set_aside is not None:
        click.echo(f"what was there before is in {restored.set_aside}")
    if not restored.index_is_clean:
        warn_of_index(project)
    if restored.config_kept:
        click.echo(f"{project.config} is another than the backup's, and was left as it is")


@command.command("prune")
@_with_destination
@click.option("--keep-count", type=click.IntRange(0), help="Keep so many of the newest.")
@click.option("--keep-days", type=click.FloatRange(0), help="Keep those of so many days.")
@click.option("--dry-run", is_flag=True, help="Only say which would go.")
@_with_yes
def prune_command(
    destination: str | None,
    endpoint: str,
    as_json: bool,
    keep_count: int | None,
    keep_days: float | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Delete old backups.

    A backup stays if either rule keeps it, or if one that stays is based on it. Without options,
    the rules are those of config.toml; with one option, that alone. What was begun and not finished
    more than a day ago goes too.
    """
    backups = Backups(project_of(), destination, endpoint)
    catalogue = backups.catalogue()
    ids = backups.prunable(catalogue, keep_count, keep_days)
    _say_ahead(catalogue)
    if ids and not dry_run:
        confirm(f"delete {len(ids)} of {_count(catalogue)} backups in {backups.target}", yes=yes)
        ids = delete_backups(backups.target, ids)
    if as_json:
        print_json({"deleted": [] if dry_run else ids, "would_delete": ids if dry_run else []})
        return
    verb = "would be deleted" if dry_run else "deleted"
    for id in ids:
        click.echo(f"{id} {verb}")
    if not ids:
        click.echo("nothing to delete")


def _databases(project: Project) -> list[str]:
    if not project.exists():
        return []
    return sorted(name for name in os.listdir(project.khive) if atomic_switch.is_database(name))


def _count(catalogue: Catalogue) -> int:
    return len(catalogue.manifests) + len(catalogue.damaged) + len(catalogue.unfinished)


def _say_ahead(catalogue: Catalogue) -> None:
    for id in catalogue.ahead:
        click.echo(f"{id} is {AHEAD}", err=True)


def _say_unfinished(catalogue: Catalogue) -> None:
    for id in catalogue.unfinished:
        click.echo(f"unfinished: {id} has no manifest: {UNFINISHED}")
