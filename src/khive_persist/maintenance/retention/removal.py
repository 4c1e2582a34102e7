"""Removal for commands and programs: prune, purge, rescan."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from khive_persist import settings as configuration
from khive_persist.capture.drain import drain
from khive_persist.errors import InvalidQueryError, InvalidSettingsError
from khive_persist.maintenance.retention import prune as pruning
from khive_persist.maintenance.retention import purge as purging
from khive_persist.maintenance.retention import rescan as rescanning
from khive_persist.maintenance.retention import rules
from khive_persist.maintenance.retention.prune import Pruned
from khive_persist.maintenance.retention.purge import Purged
from khive_persist.maintenance.retention.rescan import Rescanned
from khive_persist.mirror.packing import packing_problems
from khive_persist.models.node import Node
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.project_search import existing_project
from khive_persist.redaction import Redactor
from khive_persist.search_index.removal import removing
from khive_persist.settings import Settings
from khive_persist.store.redacting import load_redactor
from khive_persist.team.status import look_again
from khive_persist.threads import Advance, run_stoppable, silent

PruneWork = list[tuple[Purpose, rules.Rule]]


def plan_pruning(
    project: Project, settings: Settings, rule: rules.Rule, names: Sequence[str] = ()
) -> PruneWork:
    """Return the rule for each purpose that is pruned.

    Args:
        settings: The settings of the project; their rules hold where `rule` sets no limit.
        rule: The limits for all of the purposes.
        names: The purposes; without one, all of the project.

    Raises:
        InvalidQueryError: A name is unknown, or no limit is set anywhere.
        InvalidRecordError: A file in `.khive/purposes/` is not one of ours.
        InvalidSettingsError: A rule of config.toml names no purpose of this project.
    """
    purposes_by_name = {purpose.name: purpose for purpose in known_purposes(project)}
    for name in names:
        if name not in purposes_by_name:
            raise InvalidQueryError(f"{name!r} is none of " + ", ".join(purposes_by_name))
    purposes = [purposes_by_name[name] for name in names or purposes_by_name]
    if any(limit is not None for limit in rule[1:]):
        return [(purpose, rule) for purpose in purposes]
    configured_rules = tuple(rules.parse(text) for text in settings.retention_rules)
    for configured in configured_rules:
        if configured.purpose not in (*purposes_by_name, "*"):
            raise InvalidSettingsError(
                f"retention.rules: {configured.purpose!r} is no purpose of this project"
            )
    applicable = ((purpose, rules.rule_of(configured_rules, purpose.name)) for purpose in purposes)
    work = [(purpose, rule) for purpose, rule in applicable if rule is not None]
    if not work:
        raise InvalidQueryError(
            "say what is kept: keep_age, …", hint="or set retention.rules in config.toml"
        )
    return work


def prune_all(
    project: Project,
    work: PruneWork,
    settings: Settings,
    *,
    dry_run: bool = False,
    advance: Advance = silent,
) -> dict[str, Pruned]:
    """Apply rules of `plan_pruning`, and return the results by purpose name. See `prune`."""
    with removing(project, settings, advance) as removal:
        results = {
            purpose.name: pruning.prune(
                project,
                purpose,
                rule,
                settings,
                dry_run=dry_run,
                advance=advance,
                announce=partial(removal.announce, purpose),
            )
            for purpose, rule in work
        }
        if dry_run or not any(result.removed or result.payloads for result in results.values()):
            return results
        is_clean = not removal.finish()
    look_again(project)
    return {name: result._replace(index_is_clean=is_clean) for name, result in results.items()}


def rescan_all(
    project: Project, *, dry_run: bool = False, advance: Advance = silent
) -> dict[str, Rescanned]:
    """Remove secrets from all records, and return the findings by purpose name. See `rescan`."""
    settings, redactor = _redaction(project)
    if not dry_run:
        rescanning.rescan_waiting(project, redactor, settings.store_busy_timeout_seconds)
        # Also where this is killed before its end.
        look_again(project)
    with removing(project, settings, advance) as removal:
        results = {
            purpose.name: rescanning.rescan(
                project,
                purpose,
                redactor,
                settings,
                dry_run=dry_run,
                advance=advance,
                announce=partial(removal.announce, purpose),
            )
            for purpose in known_purposes(project)
        }
        if dry_run:
            return results
        is_clean = not removal.finish()
    return {name: result._replace(index_is_clean=is_clean) for name, result in results.items()}


def unscanned(project: Project) -> list[str]:
    """Return a line for each file in `sessions/` that may have a secret and is not rescanned."""
    _, redactor = _redaction(project)
    foreign_files = rescanning.secrets_beside(project, redactor)
    return [
        *(f"{problem}; a secret may be in it" for problem in packing_problems(project)),
        *(f"{path} is no file of ours, and has a secret in it" for path in foreign_files),
    ]


def _redaction(project: Project) -> tuple[Settings, Redactor]:
    settings = configuration.load(project.config)
    redactor = load_redactor(project, settings._replace(redaction_enabled=True))
    assert redactor is not None
    return settings, redactor


async def prune(
    *records: type[Node],
    keep_age: timedelta | None = None,
    keep_count: int | None = None,
    keep_bytes: int | None = None,
    keep_payload_age: timedelta | None = None,
    dry_run: bool = False,
    dir: Path | str | None = None,
) -> dict[str, Pruned]:
    """Remove what is too old or too much, from databases and mirror: synced on return.

    Each limit is counted for each purpose, a database, by itself; the newest stay. Records whose
    time cannot be read stay, too. Cancelled or killed, the next prune finds the rest.

    Args:
        records: The classes of the records; without one, all that the project knows.
        keep_age: Older records go. Without any limit, the rules of config.toml hold.
        keep_count: The number of newest records that stay.
        keep_bytes: Only the newest stay whose JSON columns hold so many bytes together.
        keep_payload_age: Older events lose their payload only.
        dry_run: Whether to count only.
        dir: The directory that holds `.khive`.

    Returns:
        What was removed, by the name of the purpose.

    Raises:
        InvalidQueryError: No limit is set anywhere, or the project does not know a class.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: There is no project.
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file of the mirror cannot be written.
    """
    project = existing_project(dir)
    names = [purpose.name for record in records for purpose in record.purposes()]
    rule = rules.Rule("*", keep_age, keep_count, keep_bytes, keep_payload_age)

    def run(advance: Advance) -> dict[str, Pruned]:
        settings = configuration.load(project.config)
        work = plan_pruning(project, settings, rule, names)
        drain(project)
        return prune_all(project, work, settings, dry_run=dry_run, advance=advance)

    return await run_stoppable(run)


async def purge(
    session_id: str,
    *,
    with_quarantine: bool = False,
    dry_run: bool = False,
    dir: Path | str | None = None,
) -> Purged:
    """Remove a session, to the last byte of it: databases, indexes, logs, mirror and spool.

    The databases are written anew, which takes as much room again. What the session had until now
    does not come back from its transcript, a restored backup, an import or the mirror. Cancelled or
    killed, the next purge of the session goes on.

    Args:
        session_id: The session, as `sessions` lists it.
        with_quarantine: Whether to delete whole files of `quarantine/` that have something of it.
        dry_run: Whether to count only.
        dir: The directory that holds `.khive`.

    Returns:
        How much went; and what may have it still, where `is_complete` is false.

    Raises:
        InvalidRecordError: The id is empty.
        InvalidSettingsError: config.toml is wrong.
        ProjectError: There is no project.
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file cannot be written.
    """
    project = existing_project(dir)

    def run(advance: Advance) -> Purged:
        return purging.purge(
            project,
            session_id,
            known_purposes(project),
            configuration.load(project.config),
            dry_run=dry_run,
            with_quarantine=with_quarantine,
            advance=advance,
        )

    return await run_stoppable(run)


async def rescan(*, dry_run: bool = False, dir: Path | str | None = None) -> dict[str, Rescanned]:
    """Replace secrets in what is stored, in databases and mirror: synced on return.

    As when records are stored, for those that were stored before a kind of secret was known, or
    while redaction was off; records that wait in the spool among them. Backups and `quarantine/`
    stay. Cancelled or killed, the next one goes on.

    Args:
        dry_run: Whether to count only.
        dir: The directory that holds `.khive`.

    Returns:
        What was found, by the name of the purpose. Where `log_is_empty` is false, another program
        reads that database all the time and keeps its log: run it again later; so where
        `index_is_clean` is, for the index of the search.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        ProjectError: There is no project.
        StoreError: As its subclasses say; what was done by then stays done.
        OSError: A file of the mirror cannot be written.
    """
    project = existing_project(dir)

    def run(advance: Advance) -> dict[str, Rescanned]:
        drain(project)
        return rescan_all(project, dry_run=dry_run, advance=advance)

    return await run_stoppable(run)
