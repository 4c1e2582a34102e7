"""`khive-persist prune`."""

from typing import Any

import click

from khive_persist import settings as configuration
from khive_persist.capture.drain import drain
from khive_persist.cli import completions
from khive_persist.cli.confirm import confirm
from khive_persist.cli.empty import none_of
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import Parsed, existing_project, with_project
from khive_persist.cli.output import print_json, print_table
from khive_persist.cli.progress import progress
from khive_persist.cli.unclean_index import warn_of_index
from khive_persist.maintenance.retention import rules
from khive_persist.maintenance.retention.prune import Pruned
from khive_persist.maintenance.retention.removal import plan_pruning, prune_all
from khive_persist.models.purposes import EVENT_FILES, HOOK_EVENTS

_AGE = Parsed("age", rules.age)
_SIZE = Parsed("size", rules.size)


@click.command("prune")
@click.option("--keep-age", type=_AGE, help="Older records go: 12h, 90d, 8w.")
@click.option("--keep-count", type=click.IntRange(0), help="Only the newest so many stay.")
@click.option("--keep-bytes", type=_SIZE, help="Only the newest stay that hold so much: 2GB.")
@click.option("--keep-payload-age", type=_AGE, help="Older events lose their payload only.")
@click.option(
    "--purpose",
    metavar="NAME",
    shell_complete=completions.purposes,
    help="Of this purpose: planner_sessions, …",
)
@click.option("--tool", type=click.Choice([t for t in HOOK_EVENTS if t in EVENT_FILES]),
              help="Of this AI tool; --purpose agent_hooks is of all others.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@with_project
def command(
    purpose: str | None, tool: str | None, dry_run: bool, yes: bool, as_json: bool, **limits: Any
) -> int:
    """Remove what is too old or too much, from databases and mirror.

    \b
      khive-persist prune --dry-run                         by the rules of config.toml
      khive-persist prune --keep-age 90d --tool codex
      khive-persist prune --keep-payload-age 14d            small facts stay, fat payloads go
      khive-persist prune --purpose planner_sessions --keep-bytes 2GB --yes

    Each limit is counted for each purpose (a database) by itself; the newest stay. Records whose
    time cannot be read stay, too. The files get smaller. Backups are pruned with `backup prune`.
    """
    if tool is not None and purpose is not None:
        raise click.UsageError("name a tool or a purpose, not both")
    project = existing_project()
    settings = configuration.load(project.config)
    name = EVENT_FILES[tool].name if tool is not None else purpose
    work = plan_pruning(project, settings, rules.Rule("*", **limits), [name] if name else [])
    drain(project)
    if not dry_run:
        confirm(f"remove records of {', '.join(kind.name for kind, _ in work)}", yes=yes)
    with progress("records") as advance:
        results = prune_all(project, work, settings, dry_run=dry_run, advance=advance)
    if as_json:
        print_json(
            {"dry_run": dry_run, "purposes": {name: p._asdict() for name, p in results.items()}}
        )
    else:
        columns = Pruned._fields[:-1]
        rows = [[name, *pruned[: len(columns)]] for name, pruned in results.items()]
        print_table(("purpose", *columns), rows, none_of("records", project))
        if dry_run:
            click.echo("nothing was removed: this was a dry run")
    if all(pruned.index_is_clean for pruned in results.values()):
        return DONE
    warn_of_index(project)
    return FAILED
