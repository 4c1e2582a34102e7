"""`Ticket`: what one caller of a writer waits for."""

from collections.abc import Sequence
from typing import Any

import anyio

from khive_persist.errors import KhiveError, StoreError


class Ticket:
    """Rows that one caller waits for; one that is counted runs by itself, for its `changed`."""

    def __init__(
        self,
        sql: str,
        rows: Sequence[Sequence[Any]],
        *,
        is_delete: bool = False,
        is_counted: bool = False,
    ) -> None:
        self.sql = sql
        self.is_delete = is_delete
        self.is_counted = is_counted or is_delete
        self.rows = rows
        self.changed = 0
        # Until the commit says otherwise: whoever waits must never take silence for success.
        self.error: KhiveError | None = StoreError("not written: its transaction did not end")
        self.ended = anyio.Event()


def merged(tickets: list[Ticket]) -> list[Ticket]:
    """The tickets as few statements: neighbours with the same SQL run as one."""
    if len(tickets) == 1 or any(ticket.is_counted for ticket in tickets):
        return tickets
    return [Ticket(tickets[0].sql, [row for ticket in tickets for row in ticket.rows])]
