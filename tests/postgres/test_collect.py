"""Records over JetStream into a team's PostgreSQL: each acknowledged one is there, once."""

import asyncio
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import asyncpg
import nats
import pytest

from examples.team.collector_process import CollectorProcess
from examples.team.nats_cluster import PROGRAM, NatsCluster, NatsNode, nats_cluster
from examples.team.postgres import postgres
from khive_persist.errors import DestinationError, InvalidSettingsError
from khive_persist.store.postgres.team_tables import Stored
from khive_persist.team.collect import Collector
from khive_persist.team.destination import Destination, destination_of
from khive_persist.team.jetstream import STREAM, SUBJECTS, Servers, record_of
from khive_persist.team.team_record import TeamRecord
from khive_persist.team.team_store import TeamStore
from tests.postgres.test_team_tables import asked, sums, sums_of_rows, team_record
from tests.programs.team_sender import has_second, record
from tests.server.process import until as wait_until

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(PROGRAM is None, reason="no nats-server: apt-get install nats-server"),
]

SESSIONS = 12
RECORDS = 10_000
ROWS = "SELECT session, id, version, content_text FROM khive.team_records ORDER BY id"


@pytest.fixture(scope="module")
def node() -> Iterator[NatsCluster]:
    folder = Path(tempfile.mkdtemp(prefix="khive-nats-"))
    with nats_cluster(folder, 1) as cluster:
        yield cluster
    shutil.rmtree(folder)


async def collected(node: NatsCluster, database: str) -> tuple[Stored, int, list[str]]:
    said: list[str] = []
    collector = Collector(Servers(node.url), TeamStore(database), said.append)
    done = await collector.run(until_empty=True)
    return done.records, done.rejected, said


async def sent(url: str, *batches: list[TeamRecord]) -> None:
    destination: Destination = destination_of(url)
    for batch in batches:
        await destination.send(batch)
    await destination.close()


@pytest.mark.parametrize("way", ["postgres", "nats"])
async def test_each_way_stores_the_same(way: str, node: NatsCluster, database: str) -> None:
    first = [record(number, SESSIONS) for number in range(150)]
    second = [record(number, SESSIONS, 2) for number in range(150) if has_second(number)]
    gone = record(7, SESSIONS, 3)._replace(content=None)
    large = team_record("large", 1, {"text": "a" * 3_000_000})
    url = node.url if way == "nats" else database
    # The newest first, and all twice.
    await sent(url, [gone], [*second, large], first, first, second)
    if way == "nats":
        stored, rejected, said = await collected(node, database)
        assert (stored.new, rejected, said) == (151, 0, [])
    rows = await asked(database, ROWS)
    newest = {item.id: item for item in (*first, *second, gone, large)}
    assert rows == [
        (item.session, id, item.version, item.content) for id, item in sorted(newest.items())
    ]
    assert await sums(database) == await sums_of_rows(database)


async def test_what_is_no_record_is_set_apart(node: NatsCluster, database: str) -> None:
    await sent(node.url, [team_record("1", 1, {}), team_record("nul\0", 1, {})])
    client = await nats.connect(node.url)
    bodies = [b"\xff", b"{}", b"[1]", b"[" * 3_000]
    for body in bodies:
        await client.jetstream().publish(f"{SUBJECTS}.a.b", body)
    packed = {"Content-Encoding": "gzip"}
    await client.jetstream().publish(f"{SUBJECTS}.a.b", b"\x1f\x8b", headers=packed)
    stored, rejected, said = await collected(node, database)
    assert (stored, rejected) == (Stored(new=1), 6)
    assert all("khive.team_rejected" in line for line in said)
    kept = [row[0] for row in await asked(database, "SELECT body FROM khive.team_rejected")]
    assert {*bodies, b"\x1f\x8b"} < {*kept}
    # Nothing of it comes once more.
    assert await collected(node, database) == (Stored(), 0, [])
    await client.close()


async def test_a_collector_ends_when_it_is_told(
    node: NatsCluster, database: str, tmp_path: Path
) -> None:
    process = CollectorProcess("collector", tmp_path, node.url, database)
    process.start()
    # The stream takes no version twice, and another test has sent these of the other machines.
    await sent(node.url, [record(n, SESSIONS)._replace(machine="other") for n in range(50)])
    await until(database, "SELECT count(*) >= 50 FROM khive.team_records")
    assert process.stop() == 0
    assert process.log.read_text().startswith("50 messages: 50 records were new, 0 replaced")


async def test_nothing_goes_to_others_in_clear_text(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettingsError, match="clear text"):
        destination_of("postgresql://user@db.example/team", "word")
    with pytest.raises(InvalidSettingsError, match="names no servers"):
        Servers("nats://user:word@n1.example")
    # A server that does not encrypt, under a name that anybody may have.
    monkeypatch.setattr("khive_persist.team.jetstream._CONNECT_SECONDS", 0.5)
    heard = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"max_payload": 1048576, "headers": true}\r\n')
        heard.append(await reader.read())
        writer.close()

    async with await asyncio.start_server(answer, "0.0.0.0") as server:
        port = server.sockets[0].getsockname()[1]
        destination = destination_of(f"nats://{socket.gethostname()}:{port}", "secret")
        with pytest.raises(DestinationError, match="secure connection required"):
            await destination.send([record(1, 1)])
        await destination.close()
    assert set(heard) == {b""}


async def test_tls_and_a_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, database: str
) -> None:
    host = socket.gethostname()
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-keyout", str(key), "-out", str(cert), "-subj", "/CN=nats",
         "-addext", f"subjectAltName=DNS:{host}"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip("no openssl here")
    monkeypatch.setattr("khive_persist.team.jetstream._CONNECT_SECONDS", 1.5)
    tls = ("-a", "0.0.0.0", "--tls", "--tlscert", str(cert), "--tlskey", str(key))
    node = NatsNode("tls", tmp_path / "tls")
    node.start([], *tls, "--user", "push", "--pass", "word")
    url = f"nats://push@{host}:{node.port}"

    async def said_of(password: str) -> str:
        destination = destination_of(url, password)
        try:
            await destination.send([record(1, 1)])
        except DestinationError as error:
            return str(error)
        finally:
            await destination.close()
        return ""

    try:
        wait_until(lambda: listens(node.port))
        assert "certificate" in await said_of("word")
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        # Of a server that hangs up at once nothing else may be heard.
        assert re.search("Authorization Violation|Broken pipe|reset", await said_of("wrong"))
        assert await said_of("word") == ""
        collector = Collector(Servers(url, "word"), TeamStore(database), print)
        assert (await collector.run(until_empty=True)).records.new == 1
    finally:
        node.stop()


async def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("khive_persist.team.jetstream._CONNECT_SECONDS", 0.5)
    monkeypatch.setattr("khive_persist.team.jetstream_destination._SECONDS", 0.5)
    destination = destination_of("nats://127.0.0.1:1", "secret")
    with pytest.raises(DestinationError, match=r"127\.0\.0\.1:1: Connection refused") as error:
        await destination.send([record(1, 1)])
    assert "secret" not in str(error.value)
    await destination.close()


def test_a_bomb_is_not_unpacked() -> None:
    import gzip

    with pytest.raises(ValueError, match="larger than 64 MiB"):
        record_of(gzip.compress(b" " * 70_000_000), {"Content-Encoding": "gzip"})


async def until(database: str, sql: str, seconds: float = 100) -> None:
    """Wait until a statement gives true; a database that is away, or empty, has not got there."""
    with anyio.fail_after(seconds):
        while True:
            try:
                if (await asked(database, sql))[0][0]:
                    return
            except (asyncpg.PostgresError, OSError, asyncpg.InterfaceError):
                pass


class Sender:
    """A process that sends records, and how many of them are acknowledged."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.acknowledged = 0
        self._changed = threading.Condition()

    def start(self) -> None:
        """Go on after what is acknowledged, as a sender does that keeps that in a file."""
        words = [sys.executable, "-m", "tests.programs.team_sender", self._url]
        numbers = [str(n) for n in (self.acknowledged, RECORDS, SESSIONS)]
        self.process = subprocess.Popen(
            [*words, *numbers], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reading = threading.Thread(target=self._read, args=(self.process,))
        self._reading.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                if line != "end\n":
                    self.acknowledged = int(line)
                self._changed.notify_all()

    def wait_for(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.acknowledged >= count, 120)

    def allow(self, count: int) -> None:
        """Let it send so many in all."""
        assert self.process.stdin is not None
        print(count, file=self.process.stdin, flush=True)

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(120)
        self._reading.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return code


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_kills_of_everything() -> None:
    """A kill -9 of leader, follower, collector, database and sender, each once, meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="khive-kills-"))
    with postgres(folder) as server, nats_cluster(folder, 3) as cluster:
        database = server.url
        collectors = [
            CollectorProcess(f"collector-{n}", folder, cluster.url, database) for n in (1, 2)
        ]
        sender = Sender(cluster.url)
        try:
            for process in collectors:
                process.start()
            sender.start()
            sender.allow(2_000)
            await until(database, rows_of(1_500))
            sender.allow(4_000)
            restart(cluster, cluster.node(await cluster.leader()))
            await until(database, rows_of(3_500))
            sender.allow(5_500)
            leader = await cluster.leader()
            restart(cluster, next(node for node in cluster.nodes if node.name != leader))
            await until(database, rows_of(5_000))
            server.kill()
            sender.allow(7_500)
            sender.wait_for(7_500)
            # It has messages, and cannot store them.
            wait_until(lambda: "trying again" in collectors[0].log.read_text())
            collectors[0].kill()
            server.start()
            collectors[0].start()
            sender.allow(RECORDS - 500)
            sender.wait_for(8_500)
            sender.kill()
            # It was killed before it had noted the last of what it had sent.
            sender.acknowledged -= 500
            sender.start()
            sender.allow(RECORDS)
            assert sender.wait() == 0
            assert sender.acknowledged == RECORDS
            await until(database, rows_of(RECORDS))
            collectors[1].stop()
            collectors[0].stop()
            # All that was sent in vain, too, is taken from the stream.
            collectors[0].start("--once")
            assert collectors[0].wait() == 0
        finally:
            sender.process.kill()
            for process in collectors:
                process.stop()
        rows = await asked(database, ROWS)
        newest = [record(n, SESSIONS, 2 if has_second(n) else 1) for n in range(RECORDS)]
        assert rows == [(item.session, item.id, item.version, item.content) for item in newest]
        by_session = "SELECT session, id FROM khive.team_records ORDER BY session, version"
        in_order = "SELECT session, id FROM khive.team_records ORDER BY session, created_at, id"
        assert await asked(database, by_session) == await asked(database, in_order)
        assert await asked(database, "SELECT sum(events) FROM khive.team_hours") == [(RECORDS,)]
        assert await sums(database) == await sums_of_rows(database)
        assert await asked(database, "SELECT 1 FROM khive.team_rejected") == []
        client = await nats.connect(cluster.url.removeprefix("nats://").split(","))
        info = await client.jetstream().stream_info(STREAM)
        assert info.config.num_replicas == 3
        await client.close()
    shutil.rmtree(folder)


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def rows_of(count: int) -> str:
    return f"SELECT count(*) >= {count} FROM khive.team_records"


def restart(cluster: NatsCluster, node: NatsNode) -> None:
    node.kill()
    cluster.start(node)
