"""`TimedStore`: what is asked of measurements and scores."""

from typing import TypeVar

from khive_persist.models.field_types import TimeSeries
from khive_persist.models.query import column, field
from khive_persist.store.store import Store

Record = TypeVar("Record", bound=TimeSeries)


class TimedStore(Store[Record]):
    """Records that are a number with a name, each of a session and of a time."""

    async def get_by_session(self, session_id: str, name: str | None = None) -> list[Record]:
        """Those of one session, in order of time.

        Args:
            session_id: The session.
            name: Of this series alone.
        """
        wanted = [field("session_id") == session_id]
        if name is not None:
            wanted.append(field("name") == name)
        return await self.find(*wanted, order_by=column("created_at"))
