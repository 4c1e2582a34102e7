"""From a stream of JetStream into a team's PostgreSQL, and what a record takes there."""

import tempfile
import time
from pathlib import Path

import anyio
import asyncpg

from benchmarks.table import Line
from examples.team.machine import Machine
from examples.team.nats_cluster import PROGRAM, nats_cluster
from examples.team.postgres import postgres
from khive_persist.team.collect import Collector
from khive_persist.team.jetstream import Servers
from khive_persist.team.jetstream_destination import JetStreamDestination
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_store import TeamStore

RECORDS = 30_000
ROUNDS = 3
NODES = 3
BATCH = 500
GOAL = 5_000
MOST_BYTES = 1_500
# All that a record takes: its row, its indexes, and its part in the sums.
SIZE = """SELECT sum(pg_total_relation_size(relid))::float8
    FROM pg_stat_user_tables WHERE schemaname = 'khive'"""


def measure() -> list[Line]:
    """The rate of one collector, and the bytes of a record that left as metrics."""
    what = f"collect: {NODES} servers of NATS to PostgreSQL, one collector"
    if PROGRAM is None:
        return [Line(what, "", "", 0, 1, reason="no nats-server")]
    # A socket's path is short.
    with tempfile.TemporaryDirectory(prefix="khive-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with postgres(folder) as server, nats_cluster(folder, NODES) as cluster:
            records = _records(folder, cluster.url)
            sent, collected = anyio.run(_run, records, cluster.url, server.url)
            size = anyio.run(_bytes, server.url) / len(records)
    return [
        Line(what, f"{collected:,.0f} records/s", f"{GOAL:,} records/s", collected / GOAL, 1.0),
        Line(
            "push to a quorum of them, one sender",
            f"{sent:,.0f} records/s",
            "1,000 records/s",
            sent / 1_000,
            1.0,
        ),
        Line(
            "bytes in PostgreSQL of an event as metrics, with indexes and sums",
            f"{size:,.0f} B",
            f"{MOST_BYTES:,} B",
            size / MOST_BYTES,
            1.0,
            at_most=True,
        ),
    ]


def _records(folder: Path, url: str) -> list[TeamRecord]:
    """Records of real sessions as they leave, of as many machines as are needed."""
    machine = Machine(1, folder, url)
    machine.record(ROUNDS)
    sample = machine.leaving()
    copies = -(-RECORDS // len(sample))
    return [
        record._replace(
            machine=f"machine-{copy}",
            session=f"{copy:04}{record.session[4:]}",
            id=f"{copy:04}{record.id[4:]}",
        )
        for copy in range(copies)
        for record in sample
    ][:RECORDS]


async def _run(records: list[TeamRecord], url: str, database: str) -> tuple[float, float]:
    """Return the rates of sending and of collecting."""
    destination = JetStreamDestination(url)
    await destination.send(records[:1])
    began = time.perf_counter()
    for start in range(1, len(records), BATCH):
        await destination.send(records[start : start + BATCH])
    sent = time.perf_counter() - began
    await destination.close()
    collector = Collector(Servers(url), TeamStore(database), print)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collector.run)
        while not collector.collected.messages:
            await anyio.sleep(0.001)
        # The tables are made by then, and the first batch is there.
        first, began = collector.collected.messages, time.perf_counter()
        while collector.collected.messages < len(records):
            await anyio.sleep(0.001)
        took = time.perf_counter() - began
        collector.stop()
    return (len(records) - 1) / sent, (len(records) - first) / took


async def _bytes(database: str) -> float:
    connection = await asyncpg.connect(database)
    try:
        return float(await connection.fetchval(SIZE))
    finally:
        await connection.close()
