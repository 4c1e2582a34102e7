"""Processes that save and record as much as they may, and say what was acknowledged."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from khive_persist.project import Project

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
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.programs.{program}", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._grown = threading.Condition()
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
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
        assert self._process.stdin is not None
        before = len(self.acknowledged)
        self._process.stdin.write(f"{more}\n")
        self._process.stdin.flush()
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
        self._reading.join()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.errors = self._process.stderr.read()
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.stderr.close()
        self._process.wait()

    def _failed(self) -> str:
        code = self._process.poll()
        assert self._process.stderr is not None
        errors = "" if code is None else self._process.stderr.read()
        return f"a writer stands still, its exit code is {code}\n{errors}"


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
