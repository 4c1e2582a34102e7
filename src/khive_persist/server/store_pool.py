"""The open stores of a project, by class of record, for the route groups that read or revise."""

from contextlib import AsyncExitStack
from typing import Any, Final

import anyio

from khive_persist.models.node import Node
from khive_persist.opening import open_store
from khive_persist.project import Project

# Who writes to a file that is locked for longer must hear of it.
BUSY_SECONDS: Final = 2.0


class Stores:
    """The open stores: each is opened at its first use, and stays open until the end."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._open: dict[type[Node], Any] = {}
        self._stack = AsyncExitStack()
        self._turn = anyio.Lock()

    async def of(self, record: type[Node]) -> Any:
        """Return the store of a class: as `open_store` gives it.

        Raises:
            KhiveError: As for `open_store`.
        """
        if record not in self._open:
            async with self._turn:
                if record not in self._open:
                    opening = open_store(
                        record, dir=self._project.root, busy_timeout_seconds=BUSY_SECONDS
                    )
                    self._open[record] = await self._stack.enter_async_context(opening)
        return self._open[record]

    def renew(self) -> None:
        """Open them anew from now on, as the settings have changed; who uses one keeps it."""
        self._open = {}

    async def close(self) -> None:
        """Finish what was begun, and close them all."""
        self._open = {}
        await self._stack.aclose()
