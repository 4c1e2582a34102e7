"""`NoWriter`: stands in the place of a writer where a store is open for reading only."""

from pathlib import Path
from typing import Any

from khive_persist.errors import StoreUnavailableError
from khive_persist.models.purposes import Purpose


class NoWriter:
    """Has a writer's file, and refuses to write to it."""

    def __init__(self, path: Path, purpose: Purpose) -> None:
        self.path = path
        self.purpose = purpose

    async def open(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    async def changes_of_others(self) -> object:
        """Return another value each time: nobody can tell."""
        return object()

    def __getattr__(self, name: str) -> Any:
        raise StoreUnavailableError(
            f"{self.path} is open for reading only", hint="open the store without read_only to save"
        )
