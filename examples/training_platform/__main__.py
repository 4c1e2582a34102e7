"""python -m examples.training_platform [--dir DIR] [--students N] [--kill-after N] [--report DIR]

N students in two groups work through a scenario at once. Each has a session, in which the platform
keeps what is said, the vital signs of the patient, and what the student scores. After so many steps
of all students together the server is killed, as by a power cut, and started again; the students
notice nothing but a pause. In the end all of it is there, each once, in the database and in its
second copy. With --report the groups are compared, and a report and all tables are written.
"""

import argparse
import statistics
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio

from examples.training_platform.analysis import analyse
from examples.training_platform.client import Client, Refused
from examples.training_platform.scenario import GROUPS, STEPS, Student, expected, students, work
from examples.training_platform.server import Server
from khive_persist import KhiveError, Score, field, open_store, verify


class Training:
    """Students who work at the same time, and how far they are together."""

    def __init__(self, directory: Path, everyone: list[Student]) -> None:
        self._everyone = everyone
        self._clients = [Client(directory) for _ in everyone]
        self._steps = self._ended = 0
        self._changed = threading.Condition()

    @property
    def waited(self) -> int:
        """How many tries of all of them were in vain."""
        return sum(client.waited for client in self._clients)

    def run(self, meanwhile: Callable[[], None]) -> None:
        """Let all of them work to the end; what one of them raises is raised here."""
        with ThreadPoolExecutor(len(self._everyone)) as pool:
            working = pool.map(self._work, self._clients, self._everyone)
            meanwhile()
            for _ in working:
                pass

    def wait_for(self, steps: int) -> None:
        """Wait until they have done so many steps together, or none of them works any more."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._steps >= steps or self._ended == len(self._everyone)
            )

    def _work(self, client: Client, student: Student) -> None:
        try:
            work(client, student, self._step)
        finally:
            client.close()
            with self._changed:
                self._ended += 1
                self._changed.notify_all()

    def _step(self) -> None:
        with self._changed:
            self._steps += 1
            self._changed.notify_all()


def train(directory: Path, everyone: list[Student], kill_after: int) -> None:
    """Let all students work, kill the server meanwhile, and look whether anything is missing."""
    training = Training(directory, everyone)
    with Server(directory) as server:

        def kill_and_restart() -> None:
            training.wait_for(kill_after)
            server.kill()
            print(f"the server was killed after {kill_after} steps", flush=True)
            server.start()
            print("and started again", flush=True)

        training.run(meanwhile=kill_and_restart)
        print(f"{len(everyone)} students have finished; {training.waited} tries were in vain")
        client = Client(directory)
        wrong = [student.session_id for student in everyone if not is_whole(client, student)]
        client.close()
    if wrong:
        raise SystemExit(f"not whole: {', '.join(wrong)}")


def is_whole(client: Client, student: Student) -> bool:
    """Whether a session has all that its student did, each once, in both copies."""
    found = client.check(student.session_id)
    session = client.get(student.session_id)
    return bool(
        found["is_restorable"]
        and found["counts"] == expected()
        and session["status"] == "completed"
        and session["steps_done"] == len(STEPS)
    )


async def summary(directory: Path, everyone: list[Student]) -> None:
    """Print what each group has scored, and whether both copies of everything are equal."""
    async with open_store(Score, dir=directory) as scores:
        totals = {
            score.content["session_id"]: score.content["value"]
            for score in await scores.find(field("name") == "total")
        }
    for group in GROUPS:
        reached = [totals[student.session_id] for student in everyone if student.group == group]
        mean, spread = statistics.mean(reached), statistics.stdev(reached)
        print(f"{group}: {len(reached)} students, {mean:.1f} points on average (sd {spread:.1f})")
    copies = await verify(dir=directory)
    rows = sum(tally.rows for tally in copies.tallies.values())
    print(f"{rows} records, " + ("equal in both copies" if copies.is_equal else "NOT EQUAL"))
    if not copies.is_equal:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.training_platform",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dir", type=Path, default=Path(), help="where .khive is, or is to be")
    parser.add_argument("--students", type=int, default=20)
    parser.add_argument("--kill-after", type=int, metavar="STEPS", help="else half of all steps")
    parser.add_argument("--report", type=Path, metavar="DIR", help="compare the groups, into DIR")
    given = parser.parse_args()
    if given.students < 2 * len(GROUPS):
        parser.error(f"at least {2 * len(GROUPS)} students, two a group")
    everyone = students(given.students)
    kill_after = given.kill_after
    if kill_after is None:
        kill_after = len(everyone) * len(STEPS) // 2
    if not 0 <= kill_after <= len(everyone) * len(STEPS):
        parser.error(f"there are {len(everyone) * len(STEPS)} steps")
    try:
        given.dir.mkdir(parents=True, exist_ok=True)
        train(given.dir.resolve(), everyone, kill_after)
        anyio.run(summary, given.dir, everyone)
        if given.report is not None:
            analyse(given.dir, given.report)
    except (KhiveError, Refused, OSError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
