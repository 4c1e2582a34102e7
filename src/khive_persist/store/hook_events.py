"""`HookEventStore`: what is asked of events, over the files of all tools."""

from datetime import datetime

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.query import column, field
from khive_persist.store.store import Store


class HookEventStore(Store[HookEvent]):
    """The events of every tool, read as one."""

    async def get_by_type(self, event_type: str, limit: int | None = None) -> list[HookEvent]:
        """Return the events of one type, newest first."""
        return await self.find(
            field("event_type") == event_type, order_by=-column("created_at"), limit=limit
        )

    async def get_by_session(self, session_id: str) -> list[HookEvent]:
        """Return the events of one session, in the order in which they arrived."""
        return await self.find(field("session_id") == session_id, order_by=column("created_at"))

    async def events_during(
        self,
        session_id: str,
        start: datetime,
        end: datetime | None = None,
        agent_id: str | None = None,
    ) -> list[HookEvent]:
        """Return the events of a session between two instants, both included, in order.

        Args:
            session_id: The session.
            start: The first instant. A naive time is UTC.
            end: The last instant; None for no end.
            agent_id: A subagent. Without one, the events of the main agent and of all that worked
                for it.
        """
        created_at = column("created_at")
        filters = [field("session_id") == session_id, created_at >= start]
        if end is not None:
            filters.append(created_at <= end)
        if agent_id is not None:
            filters.append(field("agent_id") == agent_id)
        return await self.find(*filters, order_by=created_at)

    async def get_since(self, instant: datetime) -> list[HookEvent]:
        """Return the events that arrived at `instant` or later, in order. A naive time is UTC."""
        created_at = column("created_at")
        return await self.find(created_at >= instant, order_by=created_at)
