"""The words that a shell completes: ids of sessions, and names of kinds of records.

A key waits for them: nothing is drained, made or marked, and a place that cannot be read has none.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from khive_persist.errors import KhiveError

_MOST: Final = 100


def sessions(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the ids of sessions that begin so."""
    import anyio

    from khive_persist.project import Project
    from khive_persist.sessions.event_facts import session_ids
    from khive_persist.sessions.read import SESSION_FILES
    from khive_persist.store.reader import Reader

    async def read(root: Path) -> list[str]:
        project = Project(root)
        async with Reader(
            [(project.database(file.file), file) for file in SESSION_FILES]
        ) as reader:
            return await session_ids(reader, incomplete, _MOST)

    with suppress(KhiveError, OSError):
        if root := _root(context):
            return anyio.run(read, root)
    return []


def purposes(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of purposes that begin so, those of the project's own kinds, too."""
    from khive_persist.models.purpose_registry import known_purposes
    from khive_persist.models.purposes import BUILT_IN
    from khive_persist.project import Project

    names = [purpose.name for purpose in BUILT_IN]
    with suppress(KhiveError, OSError):
        if root := _root(context):
            names = [purpose.name for purpose in known_purposes(Project(root))]
    return [name for name in names if name.startswith(incomplete)]


def kinds(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the words that begin so of what `record` takes."""
    from khive_persist.cli.commands.record import HOOK_EVENT, PLAN
    from khive_persist.models.purposes import BUILT_IN_NAMES

    names = purposes(context, parameter, incomplete)
    own_names = [name for name in names if name not in BUILT_IN_NAMES]
    return [*(name for name in (HOOK_EVENT, PLAN) if name.startswith(incomplete)), *own_names]


def settings(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of settings that begin so."""
    from khive_persist.settings import Settings, dotted

    return [name for name in map(dotted, Settings._fields) if name.startswith(incomplete)]


def _root(context: click.Context) -> Path | None:
    """Return the directory of the project that the command line is about, if it may be read."""
    from khive_persist.trust.location import locate

    # Where words are completed no command is run: the option before the command is still a word.
    location = locate(context.obj or context.find_root().params.get("directory"))
    return location.khive.parent if location.is_usable else None
