"""Processes that save and record as much as they may, and say what was acknowledged."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile

from khive_persist.project import Project
from tests.server import warm
from tests.server.warm import Forked

# Each with a word of its own.
BOTH_KINDS = (
    ("plan_saver", "a"), ("plan_saver", "b"), ("recorder", "claude-code"), ("recorder", "codex"),
)  # fmt: skip


class Writer:
    """One process.

    Attributes:
        acknowledged: What it said of each that was kept, in order: id, number, and of some programs
            when it was begun, as `time.monotonic` tells. It grows.
        errors: What it wrote on stderr, once it was stopped.
    """

    def __init__(self, program: str, *words: str) -> None:
        self.acknowledged: list[str] = []
        self.errors = ""
        reading, writing = os.pipe()
        self._stderr = TemporaryFile()  # noqa: SIM115 - as long as the process writes to it
        with open(reading, "rb") as stdin:
            self._process = Forked(
                warm.of_module(f"tests.programs.{program}"), words, self._stderr, stdin=stdin
            )
        self._allowance = os.fdopen(writing, "w")
        self._grown = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            # Half of a line was never said.
            if line.endswith("\n"):
                with self._grown:
                    self.acknowledged.append(line.strip())
                    self._grown.notify()

    @property
    def ids(self) -> list[str]:
        return [line.split()[0] for line in tuple(self.acknowledged)]

    def ids_since(self, instant: float) -> list[str]:
        """The ids of those that were begun after an instant."""
        words = [line.split() for line in tuple(self.acknowledged)]
        return [id for id, _, begun in words if float(begun) > instant]

    def go_on(self, more: int) -> int:
        """Let it write so many more; how many were acknowledged before."""
        before = len(self.acknowledged)
        self._allowance.write(f"{more}\n")
        self._allowance.flush()
        return before

    def wait_for(self, more: int) -> None:
        """Wait until so many more are acknowledged."""
        self.wait_until(len(self.acknowledged) + more)

    def wait_until(self, wanted: int) -> None:
        """Wait until so many are acknowledged."""
        self._wait(lambda: len(self.acknowledged) >= wanted)

    def wait_since(self, instant: float, wanted: int) -> None:
        """Wait until so many are acknowledged that were begun after an instant."""
        self._wait(lambda: len(self.ids_since(instant)) >= wanted)

    def _wait(self, is_reached: Callable[[], bool]) -> None:
        with self._grown:
            assert self._grown.wait_for(is_reached, 60), self._failed()

    def stop(self) -> None:
        """Kill it, and read what it still had said."""
        self._process.kill()
        self._process.wait(60)
        self._reading.join()
        self.errors = self._said_on_stderr()
        self._allowance.close()
        self._process.stdout.close()
        self._stderr.close()

    def _failed(self) -> str:
        code = self._process.poll()
        return f"a writer stands still, its exit code is {code}\n{self._said_on_stderr()}"

    def _said_on_stderr(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode()


def go_on(writers: Sequence[Writer], more: int, least: int) -> None:
    """Let each write so many more, and wait until so many are acknowledged.

    While they write the rest, a test does its own part; without end they would write the more, the
    slower the machine is.
    """
    before = [writer.go_on(more) for writer in writers]
    for writer, count in zip(writers, before, strict=True):
        writer.wait_until(count + least)


@contextmanager
def writing(
    project: Project, most: int, programs: Sequence[tuple[str, str]] = BOTH_KINDS
) -> Iterator[list[Writer]]:
    """Processes at work, which are killed in the end.

    Args:
        project: Where.
        most: How much each of them may write before it is told to go on.
        programs: Those of tests/programs, each with a word of its own.
    """
    with ExitStack() as stack:
        writers = []
        for program, word in programs:
            writers.append(Writer(program, str(project.root), word))
            stack.callback(writers[-1].stop)
        for writer in writers:
            writer.go_on(most)
        for writer in writers:
            writer.wait_until(1)
        yield writers
