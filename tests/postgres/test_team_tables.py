"""A team's tables: the newest version of each record once, and sums that are those of the rows."""

import random
from collections.abc import Sequence
from typing import Any

import anyio
import asyncpg
import pytest

from khive_persist.prices import PriceTable
from khive_persist.sessions import definitions
from khive_persist.store import codec
from khive_persist.store.postgres.team_reading import TeamFilter, TeamReading
from khive_persist.store.postgres.team_row import Counts
from khive_persist.store.postgres.team_tables import Rejection, Stored
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_store import TeamStore
from tests.factories import NOON

pytestmark = pytest.mark.postgres

SUMS = ", ".join(f"sum({name})" for name in Counts._fields)
BY = "hour, person, machine, project, tool, model"


def team_record(
    id: str, version: int, content: dict[str, Any] | None, *, session: str = "s1", **fields: Any
) -> TeamRecord:
    values = {
        "person": "p", "machine": "m", "project": "j", "purpose": "claude_hooks", "form": "all",
        "created_at": "2026-11-21 12:00:00.000000", **fields,
    }  # fmt: skip
    text = None if content is None else codec.dump(content)
    return TeamRecord(session=session, id=id, version=version, content=text, **values)


async def asked(database: str, sql: str) -> list[Any]:
    connection = await asyncpg.connect(database)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def sums_of_rows(database: str) -> list[Any]:
    return await asked(
        database,
        f"SELECT {BY}, count(DISTINCT session) FILTER (WHERE session <> ''"
        f" AND events + messages > 0), {SUMS}"
        f" FROM khive.team_records WHERE content_text IS NOT NULL GROUP BY {BY} ORDER BY {BY}",
    )


async def sums(database: str) -> list[Any]:
    names = ", ".join(Counts._fields)
    return await asked(
        database, f"SELECT {BY}, sessions, {names} FROM khive.team_hours ORDER BY {BY}"
    )


def random_versions(chance: random.Random) -> list[TeamRecord]:
    """Versions of records that change all that sums are by, and some that are purged."""
    versions = []
    for number in range(60):
        session = chance.choice(["", "s1", "s2", "s3"])
        purpose = chance.choice(["claude_hooks", "conversations", "planner_sessions"])
        for version in range(1, chance.randint(2, 5)):
            content = {
                "event_type": chance.choice(["post_command", "stop", "pre_command"]),
                "success": chance.random() < 0.5,
                "role": "assistant",
                "model": chance.choice(["claude-opus-4-5", "unpriced", None]),
                "tool": chance.choice(["claude-code", "codex"]),
                "tokens": {"input": chance.randint(0, 99), "output": chance.randint(0, 99)},
                "unreported_calls": chance.randint(0, 2),
            }
            record = team_record(
                f"r{number}",
                version,
                None if chance.random() < 0.2 else content,
                session=session,
                purpose=purpose,
                person=chance.choice(["p1", "p2"]),
                created_at=f"2026-11-21 {chance.choice([12, 13])}:59:59.999999",
            )
            versions.append(record)
    return versions


@pytest.mark.parametrize("seed", range(6))
async def test_sums_are_those_of_the_rows(database: str, seed: int) -> None:
    chance = random.Random(seed)
    versions = random_versions(chance)
    stores = [TeamStore(database), TeamStore(database)]
    for store in stores:
        await store.open()

    async def store_all(store: TeamStore, records: Sequence[TeamRecord], size: int) -> None:
        for start in range(0, len(records), size):
            await store.store(records[start : start + size])

    async with anyio.create_task_group() as tasks:
        for store in stores:
            # Each twice, in an order of its own, across the other's.
            records = chance.sample(versions * 2, k=len(versions) * 2)
            tasks.start_soon(store_all, store, records, chance.randint(1, 80))
    for store in stores:
        await store.close()
    newest = {(record.session, record.purpose, record.id): record for record in versions}
    rows = await asked(
        database, "SELECT session, purpose, id, version, content_text FROM khive.team_records"
    )
    assert {row[:3]: row[3:] for row in rows} == {
        key: (record.version, record.content) for key, record in newest.items()
    }
    assert await sums(database) == await sums_of_rows(database) != []
    assert await asked(database, "SELECT 1 FROM khive.team_session_hours WHERE records = 0") == []


async def test_a_record_counts_as_it_is_defined(database: str) -> None:
    message = {
        "role": "assistant", "tool": "codex", "model": "claude-opus-4-5",
        "tokens": {"input": 1, "cache_read": 2, "cache_write": 3, "cache_write_1h": 4, "output": 5},
    }  # fmt: skip
    failed = {"event_type": "post_command", "success": False}
    store = TeamStore(database)
    await store.open()
    stored = await store.store(
        [
            team_record("1", 1, failed),
            team_record("2", 1, {"event_type": "stop_failure", "success": False}),
            team_record("3", 1, message, purpose="conversations"),
            # Its sender has a price of his own.
            team_record(
                "4",
                1,
                {**message, "model": "m", "cost_usd": 0.25},
                form="metrics",
                purpose="conversations",
            ),
        ]
    )
    assert stored == (Stored(new=4), [])
    cost = definitions.spent(message, NOON, PriceTable()).picodollars
    events, messages, own = await sums(database)
    assert events[4:] == ("claude-code", "", 1, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    assert messages[4:] == (
        "codex", "claude-opus-4-5", 1, 1, 0, 0, 0, 1, 1, 2, 7, 5, cost, 1, 0,
    )  # fmt: skip
    assert own[4:] == ("codex", "m", 1, 1, 0, 0, 0, 1, 1, 2, 7, 5, 250_000_000_000, 1, 0)
    # Purged, and then an older version comes once more: it stays away.
    assert await store.store([team_record("1", 2, None)]) == (Stored(replaced=1), [])
    assert await store.store([team_record("1", 1, failed)]) == (Stored(duplicates=1), [])
    assert (await sums(database))[0][7:11] == (1, 1, 0, 0)
    await store.close()


async def test_what_cannot_be_stored_does_not_stop_the_rest(database: str) -> None:
    store = TeamStore(database)
    await store.open()
    refused = [
        team_record("nul\0", 1, {}),
        team_record("large", 2**63, {}),
        # PostgreSQL packs what repeats itself, so that it is no longer.
        team_record("long", 1, {}, machine=random.Random(1).randbytes(4_000).hex()),
        team_record("half", 1, {}, machine="\ud800"),
        team_record("tokens", 1, {"tokens": {"input": 2**62}, "model": "claude-opus-4-5"},
                    purpose="conversations"),
    ]  # fmt: skip
    odd = [
        team_record("odd", 1, {"a": "\0", "long": 2**90}),
        team_record("no time", 1, {}, created_at="yesterday"),
        team_record("no json", 1, None)._replace(content="{"),
    ]
    good = [team_record(f"good{n}", 1, {}) for n in range(20)]
    stored, reasons = await store.store([*good[:7], *refused, *good[7:], *odd])
    assert stored == Stored(new=23)
    assert {item.record for item in reasons} == set(refused)
    rejection = Rejection("khive.team/7", "no record", b"\0\xff")
    await store.reject([rejection])
    await store.reject([rejection])
    await store.store(refused)
    kept = await asked(database, "SELECT origin, reason, body FROM khive.team_rejected")
    assert rejection in kept
    assert len(kept) == 1 + len(refused)
    await store.close()


async def test_numbers_that_a_sender_makes_up_stop_no_sum(database: str) -> None:
    store = TeamStore(database)
    await store.open()
    records = [
        team_record(
            f"r{hour}", 1, {"role": "assistant", "cost_usd": 9_000_000.0},
            purpose="conversations", form="metrics", created_at=f"2026-11-21 1{hour}:00:00.000000",
        )
        for hour in (1, 2)
    ]  # fmt: skip
    _, refused = await store.store(records)
    await store.close()
    assert refused == []
    reading = TeamReading(database, 30)
    await reading.database.open()
    totals = await reading.totals(TeamFilter())
    of_people = await reading.sums("person", TeamFilter(), 10)
    (session,) = await reading.sessions(TeamFilter(), 10)
    await reading.database.close()
    sums = [totals.sums.counts, of_people[0][1].counts, session.counts]
    assert {counts.picodollars for counts in sums} == {2**63 - 1}
