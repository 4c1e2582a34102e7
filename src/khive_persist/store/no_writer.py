"""`NoWriter`: stands in the place of a writer where a store is open for reading only."""

from pathlib import Path
from typing import Any, NoReturn

from khive_persist.errors import StoreUnavailableError
from khive_persist.models.purposes import Purpose


class NoWriter:
    """Has a writer's file, and refuses to write to it."""

    def __init__(self, path: Path, purpose: Purpose) -> None:
        self.path = path
        self.purpose = purpose

    @property
    def chunk_rows(self) -> int:
        """Refuse a bulk."""
        self._refuse()

    async def open(self) -> None:
        """Open nothing."""

    async def close(self) -> None:
        """Close nothing."""

    async def changes_of_others(self) -> object:
        """Return another value each time: nobody can tell."""
        return object()

    async def _refused(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse()

    is_behind = upsert = insert = delete = delete_where = _refused
    upsert_all = revise = revise_one = merge = _refused

    def _refuse(self) -> NoReturn:
        raise StoreUnavailableError(
            f"{self.path} is open for reading only", hint="open the store without read_only to save"
        )
