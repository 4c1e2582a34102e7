"""python -m examples.team [--machines N] [--rounds N]

Ten machines, each with a home of its own, record what Claude Code, Codex and Gemini CLI really
sent, and push it, as metrics: three of them over HTTP to the team's server, the others to three
servers of NATS, from which two collectors store it in PostgreSQL. Meanwhile the leader of the
stream, a follower, the database, a collector, the server and a sender are killed, each once, and
started again. In the end every record that a machine showed with `push --dry-run` is in
PostgreSQL, once and as it was shown, and the server's sums are those of all. All is on this
machine, below a temporary folder, and ends by itself.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import anyio

from examples.team.collector_process import CollectorProcess
from examples.team.machine import Machine
from examples.team.nats_cluster import PROGRAM, NatsCluster, nats_cluster
from examples.team.postgres import Postgres, postgres
from examples.team.server_process import ServerProcess
from examples.team.team_rows import TeamRows
from khive_persist.cli.output import print_table
from khive_persist.team.team_record import TeamRecord

# Of a machine with two processors; the machines of a team are not one.
_AT_ONCE = 3
_WAIT_SECONDS = 120
_OVER_HTTP = 3


class Compared(NamedTuple):
    """What a machine showed, and what is stored of it."""

    machine: str
    pushes: int
    shown: int
    stored: int
    missing: int
    twice: int
    other: int

    @property
    def is_whole(self) -> bool:
        """Return whether each record is there, once, and as it was shown."""
        return self.shown == self.stored and not (self.missing or self.twice or self.other)


class Team:
    """What runs, and what is killed of it."""

    def __init__(
        self,
        machines: list[Machine],
        cluster: NatsCluster,
        server: Postgres,
        collectors: list[CollectorProcess],
        team_server: ServerProcess,
    ) -> None:
        self._team_server = team_server
        self._machines = machines
        self._cluster = cluster
        self._server = server
        self._collectors = collectors
        self._rows = TeamRows(server.url)
        self.killed: list[tuple[str, str, int]] = []

    def kill_each(self, total: int) -> None:
        """Kill one of each while so many records arrive, and start it again."""
        sender = self._machines[-1]
        self._rows.wait_for(total // 20)
        # Those that push over HTTP come first.
        self._note("server", self._team_server.url)
        self._team_server.kill()
        self._team_server.start()
        self._rows.wait_for(total // 10)
        leader = self._cluster.node(anyio.run(self._cluster.leader))
        self._note("leader of the stream", leader.name)
        leader.kill()
        self._cluster.start(leader)
        self._rows.wait_for(total // 4)
        name = anyio.run(self._cluster.leader)
        follower = next(node for node in self._cluster.nodes if node.name != name)
        self._note("follower", follower.name)
        follower.kill()
        self._cluster.start(follower)
        self._rows.wait_for(total * 2 // 5)
        self._note("database", "PostgreSQL")
        self._server.kill()
        # It has records then, and cannot store them.
        collector = self._collectors[0]
        end = time.monotonic() + _WAIT_SECONDS
        while "trying again" not in collector.log.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        self.killed.append(("collector", collector.name, self.killed[-1][2]))
        collector.kill()
        self._server.start()
        collector.start()
        while sender.pushing is None and time.monotonic() < end:
            time.sleep(0.01)
        if sender.pushing is not None and sender.pushing.poll() is None:
            self._note("sender", sender.name)
            sender.pushing.kill()

    def _note(self, kind: str, name: str) -> None:
        count = sum(len(self._rows.records(machine.name)) for machine in self._machines)
        self.killed.append((kind, name, count))


def main() -> int:
    """Run it; 0 where every record is there once."""
    options = _options()
    if PROGRAM is None:
        raise SystemExit("no nats-server: apt-get install nats-server")
    # A socket's path is short.
    folder = Path(tempfile.mkdtemp(prefix="khive-team-"))
    try:
        with postgres(folder) as server, nats_cluster(folder, 3) as cluster:
            return _run(options, folder, server, cluster)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(options: argparse.Namespace, folder: Path, server: Postgres, cluster: NatsCluster) -> int:
    team_server = ServerProcess(folder, server.url)
    team_server.start()
    try:
        return _fill(options, folder, server, cluster, team_server)
    finally:
        team_server.stop()


def _machine(number: int, folder: Path, cluster: NatsCluster, server: ServerProcess) -> Machine:
    if number > _OVER_HTTP:
        return Machine(number, folder, cluster.url)
    person = f"person-{number:02}"
    token = server.token(person, "--role", "member", "--person", person)
    return Machine(number, folder, server.url, token)


def _fill(
    options: argparse.Namespace,
    folder: Path,
    server: Postgres,
    cluster: NatsCluster,
    team_server: ServerProcess,
) -> int:
    machines = [
        _machine(number, folder, cluster, team_server) for number in range(1, options.machines + 1)
    ]
    print(f"{len(machines)} machines record {options.rounds} times the sessions of three tools …")
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        events = [*pool.map(lambda machine: machine.record(options.rounds), machines)]
        shown = dict(zip(machines, pool.map(Machine.leaving, machines), strict=True))
    total = sum(map(len, shown.values()))
    print(f"{sum(events):,} events are recorded; push --dry-run shows {total:,} records")
    collectors = [
        CollectorProcess(f"collector-{n}", folder, cluster.url, server.url) for n in (1, 2)
    ]
    team = Team(machines, cluster, server, collectors, team_server)
    began = time.monotonic()
    pushes: dict[Machine, int] = {}
    try:
        for collector in collectors:
            collector.start()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            pushing: list[Future[None]] = [
                pool.submit(_push, machine, pushes) for machine in machines
            ]
            team.kill_each(total)
            for push in pushing:
                push.result()
        TeamRows(server.url).wait_for(total)
        seconds = time.monotonic() - began
    finally:
        codes = [collector.stop() for collector in collectors]
    print(f"all of them arrived within {seconds:.0f} s, while these were killed:\n")
    print_table(("killed", "name", "records stored by then"), team.killed, "nothing")
    rows = [
        _compared(machine, shown[machine], pushes[machine], TeamRows(server.url))
        for machine in machines
    ]
    print()
    print_table(Compared._fields, rows, "nothing")
    print()
    sums = TeamRows(server.url).sums()
    print_table(("tool", "sessions", "events", "calls", "failures"), sums, "nothing")
    print()
    totals = team_server.get("/v1/team")["totals"]
    print(f"{team_server.url}/v1/team: " + ", ".join(f"{v:,} {k}" for k, v in totals.items() if v))
    print()
    for collector in collectors:
        print(f"{collector.name}:")
        print("".join(f"  {line}\n" for line in collector.log.read_text().splitlines()))
    is_whole = all(row.is_whole for row in rows) and totals["records"] == total
    print("every record is there, once" if is_whole else "RECORDS DIFFER")
    return 0 if is_whole and not any(codes) else 1


def _push(machine: Machine, pushes: dict[Machine, int]) -> None:
    """Push until it succeeds, as a machine does that tries again every few minutes."""
    for attempt in range(1, 20):
        code, said = machine.push()
        pushes[machine] = attempt
        if code == 0:
            return
    raise SystemExit(f"{machine.name}: {said}")


def _compared(machine: Machine, shown: list[TeamRecord], pushes: int, rows: TeamRows) -> Compared:
    """Compare what a machine showed with what is stored of it."""
    stored = rows.records(machine.name)
    ids = Counter((record.purpose, record.id) for record in stored)
    missing = sum((record.purpose, record.id) not in ids for record in shown)
    twice = sum(count - 1 for count in ids.values())
    # Version, time and content are those that were shown.
    other = len({*stored} - {*shown})
    return Compared(machine.name, pushes, len(shown), len(stored), missing, twice, other)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.team", description=__doc__)
    parser.add_argument("--machines", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
