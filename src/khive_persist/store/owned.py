"""A connection that a thread of aiosqlite owns."""

import sqlite3
from collections.abc import Callable
from typing import Final

import aiosqlite
import anyio.to_thread

_FETCH_ROWS: Final = 64


async def owned(connect: Callable[[], sqlite3.Connection]) -> aiosqlite.Connection:
    """Give a connection to a thread of its own.

    It is made in another thread before: one that fails inside aiosqlite leaves a thread that
    answers to an event loop which may be closed by then.
    """
    connection = await anyio.to_thread.run_sync(connect)
    return await aiosqlite.Connection(lambda: connection, _FETCH_ROWS)
