"""Compare the two copies of every record, and rebuild one from the other."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

from khive_persist import settings as configuration
from khive_persist.capture.drain import drain, usable_settings
from khive_persist.errors import InvalidQueryError
from khive_persist.mirror.mirror import Mirror
from khive_persist.mirror.rebuild import Rebuilt, rebuild_databases, rebuild_mirror
from khive_persist.mirror.recovery import FEW_RECORDS, recover
from khive_persist.mirror.rewrite import revise_both
from khive_persist.mirror.verify import Tally, compared
from khive_persist.mirror.verify_record import write_last_verify
from khive_persist.models.node import Node
from khive_persist.models.purpose_registry import mirrored_purposes, remember
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.project_search import existing_project
from khive_persist.search_index import follow
from khive_persist.search_index.removal import Removal, removing
from khive_persist.search_index.semantic.embedding import embed_new
from khive_persist.search_index.state import IndexState, index_state
from khive_persist.store.sqlite import rows
from khive_persist.store.sqlite.comparison_index import Difference
from khive_persist.threads import Advance, run_stoppable
from khive_persist.tombstones import Tombstones

Source = Literal["mirror", "database"]

LISTED: Final = 1_000
# A process that writes for longer copies what it has committed itself.
_WAIT_SECONDS: Final = 1.0


class Verified(NamedTuple):
    """The result of comparing the two copies.

    Attributes:
        is_equal: Whether every record is in both, the same, and nothing is damaged.
        tallies: Counts by the name of the purpose.
        differences: The first 1,000 of them; `khive-persist verify` lists all.
    """

    is_equal: bool
    tallies: dict[str, Tally]
    differences: list[Difference]


async def verify(*records: type[Node], dir: Path | str | None = None) -> Verified:
    """Compare each record of the databases with its second copy in `sessions/`.

    What waits in the spool is brought in before. A cancelled await stops it.

    Args:
        records: The classes of the records; without one, all that this project knows.
        dir: The directory that holds `.khive`.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        ProjectError: There is no project, or it cannot be written to, as a comparison has to.
        StoreError: Writers did not give up a database for the time of a look.
    """
    project = existing_project(dir)
    purposes = mirrored(project, records)

    def run(advance: Advance) -> Verified:
        bring_in(project, purposes)
        with compared(project, purposes, advance) as comparison:
            if not records:
                write_last_verify(project, comparison)
            first = [d for d, _ in zip(comparison.differences(), range(LISTED), strict=False)]
            return Verified(comparison.is_equal, comparison.tallies, first)

    return await run_stoppable(run)


async def rebuild(
    source: Source,
    *records: type[Node],
    dir: Path | str | None = None,
    discard_unmirrored: bool = False,
) -> Rebuilt:
    """Make one copy anew from the other: synced, and compared again, on return.

        await rebuild("mirror")      # the databases from sessions/
        await rebuild("database")    # sessions/ from the databases

    What is replaced goes to `quarantine/`. What is equal already is left as it is, so that running
    it again changes nothing. What waits in the spool is brought in, and what sessions had until
    they were purged goes. Cancelled, each database is the old one or the new one.

    Args:
        source: The copy that is right.
        records: The classes of the records; without one, all that this project knows.
        dir: The directory that holds `.khive`.
        discard_unmirrored: Whether to replace a database that has records which the mirror has not.
            They are then in quarantine only.

    Raises:
        InvalidQueryError: `source` is another word.
        NotFoundError: There is no mirror, or no database, to rebuild from.
        MirrorError: The mirror lacks records that a database has; or a file cannot be written.
        ProjectError: There is no project, or it cannot be written to.
        StoreError: As its subclasses say; the old databases are there.
        OSError: The mirror cannot be read.
    """
    if source not in ("mirror", "database"):
        raise InvalidQueryError(f"{source!r} is no copy", hint="name mirror or database")
    project = existing_project(dir)
    purposes = mirrored(project, records)

    run = partial(make_anew, project, source, purposes, may_discard=lambda _: discard_unmirrored)
    return await run_stoppable(run)


async def rebuild_search(*, dir: Path | str | None = None) -> IndexState:
    """Make the index of the search anew from the databases: complete on return.

    Where `search.semantic` is set, the passages get vectors, as far as their source gives any:
    `vectors` says what is missing, and why.

    What waits in the spool is brought in before. Cancelled, the next search goes on with it.

    Args:
        dir: The directory that holds `.khive`.

    Raises:
        InvalidQueryError: `search.enabled` is false; the index is removed.
        InvalidSettingsError: config.toml is wrong, or the source of vectors is not set as it has to
            be.
        MissingExtraError: The extra `semantic` is not installed, and `search.semantic` is set.
        ProjectError: There is no project, or it cannot be written to.
        StoreError: The index cannot be written.
    """
    project = existing_project(dir)

    def run(advance: Advance) -> IndexState:
        return make_search_anew(project, advance)

    return await run_stoppable(run)


def make_search_anew(project: Project, advance: Advance = lambda _: None) -> IndexState:
    """Make the index of the search anew, as `rebuild_search` does.

    Args:
        advance: A callback, given the number of records or passages that were read since its last
            call.
    """
    drain(project)
    follow.make_anew(project, advance)
    vectors = embed_new(project, usable_settings(project), math.inf, advance)
    return index_state(project)._replace(vectors=vectors)


def bring_in(project: Project, purposes: Sequence[Purpose]) -> None:
    """Drain the spool, and copy to the mirror what a killed process has not: done on return.

    Neither raises: what could not be done shows when the copies are compared.
    """
    drain(project)
    settings = usable_settings(project)
    recover(project, purposes, settings, most=FEW_RECORDS, wait_seconds=_WAIT_SECONDS)


def make_anew(
    project: Project,
    source: Source,
    purposes: Sequence[Purpose],
    advance: Advance = lambda _: None,
    *,
    may_discard: Callable[[int], bool] = lambda _: False,
) -> Rebuilt:
    """Make one copy of some purposes anew from the other. See `rebuild`.

    What the mirror alone described is known to the project on return; what the project knew is
    described in the mirror.

    Args:
        source: The copy that is right.
        purposes: The purposes with a mirror, of `mirrored`.
        advance: A callback, given the number of records that were examined since its last call.
        may_discard: A callback, given the number of records that the mirror has not; it returns
            whether they may be set aside.

    Raises:
        NotFoundError, MirrorError, ProjectError, StoreError, OSError: As `rebuild`.
    """
    bring_in(project, purposes)
    settings = usable_settings(project)
    with removing(project, settings) as removal:
        _remove_purged(project, purposes, removal)
        result = _made_anew(project, source, purposes, advance, may_discard)
        return result._replace(index_is_clean=not removal.finish())


def _made_anew(
    project: Project,
    source: Source,
    purposes: Sequence[Purpose],
    advance: Callable[[int], None],
    may_discard: Callable[[int], bool],
) -> Rebuilt:
    if source == "database":
        result = rebuild_mirror(project, purposes, advance)
    else:
        result = rebuild_databases(project, purposes, advance, may_discard=may_discard)
    for purpose in purposes:
        if project.database(purpose.file).exists():
            remember(project, purpose)
    # What a damaged database could not take has waited.
    drain(project)
    return result


def _remove_purged(project: Project, purposes: Sequence[Purpose], removal: Removal) -> None:
    """Remove what was purged from either copy: an older one may have been put there."""
    tombstones = Tombstones.load(project)
    if tombstones.has_sessions:
        timeout = configuration.load(project.config).store_busy_timeout_seconds
        for purpose in purposes:
            announce = partial(removal.announce, purpose)
            revise_both(project, purpose, tombstones.without_purged, timeout, announce)


def mirrored(project: Project, records: Sequence[type[Node]] = ()) -> tuple[Purpose, ...]:
    """Return the purposes with a second copy: of the classes, or all that the project knows.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        InvalidRecordError: A class names no file.
    """
    off = configuration.load(project.config).mirror_off
    named_purposes = [purpose for record in records for purpose in record.purposes()]
    return tuple(p for p in named_purposes or mirrored_purposes(project) if p.name not in off)


def second_copies(project: Project, purpose: Purpose, ids: Sequence[str]) -> list[Path]:
    """Return the files of the mirror that have these records, each once.

    Raises:
        InvalidSettingsError: config.toml is wrong.
        StoreError: The database cannot be read.
    """
    mirror = Mirror(project, configuration.load(project.config))
    database = project.database(purpose.file)
    if not mirror.has(purpose) or not database.exists():
        return []
    records = rows.read_ids(database, purpose.table, list(ids))
    paths = (mirror.path(purpose, row) for row in records)
    return sorted({path for path in paths if path is not None and path.exists()})
