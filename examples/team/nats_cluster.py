"""Servers of NATS on this machine, each a process that can be killed and started again."""

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
import nats.errors

from khive_persist.team.jetstream import STREAM

# Debian's package puts it where only root's shell looks.
PROGRAM = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
READY_SECONDS = 30.0


class NatsNode:
    """One server."""

    def __init__(self, name: str, folder: Path) -> None:
        """Take two free ports."""
        self.name = name
        self.port, self.route_port = free_port(), free_port()
        self._folder = folder
        self._log = folder.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, routes: list[int], *options: str) -> None:
        """Start it, as one of a cluster whose other servers have these ports; alone for none."""
        assert PROGRAM is not None
        words = [PROGRAM, "-a", "127.0.0.1", "-p", str(self.port), "-n", self.name]
        words += ["-js", "-sd", str(self._folder), *options]
        if routes:
            words += ["--cluster_name", "khive"]
            words += ["--cluster", f"nats://127.0.0.1:{self.route_port}"]
            words += ["--routes", ",".join(f"nats://127.0.0.1:{port}" for port in routes)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)  # noqa: S603 - of Debian

    def kill(self) -> None:
        """Kill it, as by kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self.kill()


class NatsCluster:
    """Some servers that keep a stream together."""

    def __init__(self, folder: Path, nodes: int) -> None:
        """Prepare to start them, with their files in a folder."""
        self.nodes = [NatsNode(f"n{n}", folder / f"n{n}") for n in range(1, nodes + 1)]

    @property
    def url(self) -> str:
        """The address of all of them."""
        return "nats://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self, node: NatsNode) -> None:
        """Start one of them."""
        several = len(self.nodes) > 1
        node.start([other.route_port for other in self.nodes if other is not node and several])

    def node(self, name: str) -> NatsNode:
        """Return the one with a name."""
        return next(node for node in self.nodes if node.name == name)

    async def leader(self) -> str:
        """Return the name of the server that leads the stream, once there is one."""
        end = time.monotonic() + READY_SECONDS
        client = await nats.connect(self.url.removeprefix("nats://").split(","))
        try:
            while True:
                try:
                    cluster = (await client.jetstream().stream_info(STREAM)).cluster
                    if cluster is not None and cluster.leader:
                        return cluster.leader
                except (nats.errors.Error, TimeoutError):
                    if time.monotonic() > end:
                        raise
        finally:
            await client.close()


@contextmanager
def nats_cluster(folder: Path, nodes: int) -> Iterator[NatsCluster]:
    """Start servers; they end with the block."""
    cluster = NatsCluster(folder, nodes)
    try:
        for node in cluster.nodes:
            cluster.start(node)
        yield cluster
    finally:
        for node in cluster.nodes:
            node.stop()


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
