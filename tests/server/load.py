"""python -m tests.server.load ROLE ROOT URL: many clients that go on, whoever is killed meanwhile.

Each tries again what it does not know to be done, under the same id. The first line of stdin is a
token. A line of stdout is what was acknowledged; after a second line of stdin what is under way is
brought to its end, and the last line of stdout says, as JSON, what was promised to them, what they
were told that cannot be, and when each answered request began and how long it took, in seconds.
"""

import asyncio
import itertools
import json
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from khive_persist.capture.drainer_start import wake_drainer
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.server.sessions import KINDS, one_of
from tests.server.sessions import PATH as APPLICATION_SESSIONS

WRITERS, HOOKS, SPOOLERS, USERS, LISTENERS = 36, 20, 8, 50, 60
TOOLS = ("claude-code", "codex")
QUERIES: tuple[dict[str, str], ...] = ({"tool": "codex"}, {"session": "s07"})
PACE_SECONDS = 0.1
AWAY_SECONDS = 0.05
LONGEST_SECONDS = 60
STEPS = 40


class Cut(Exception):
    """What became of a request is not known."""


class Answer(NamedTuple):
    """What a request was answered."""

    status: int
    content: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.content)


class Connection:
    """One that is kept, and made anew where it was cut."""

    def __init__(
        self, address: tuple[str, int], token: str, latencies: list[tuple[float, float]]
    ) -> None:
        self._address = address
        self._token = token
        self._latencies = latencies
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, document: Any = None, headers: str = "") -> Answer:
        """Ask something.

        Raises:
            Cut: There was no answer, or one that says to come back later.
        """
        began = time.monotonic()
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self.send(method, path, document, headers)
                status, length = await self.head()
                assert self._streams is not None
                answer = Answer(status, await self._streams[0].readexactly(length))
        except TimeoutError:
            raise AssertionError(f"{method} {path}: no answer in {LONGEST_SECONDS} s") from None
        except (OSError, EOFError) as error:
            self.close()
            await asyncio.sleep(AWAY_SECONDS)
            raise Cut from error
        if answer.status == 503:
            await asyncio.sleep(AWAY_SECONDS)
            raise Cut
        self._latencies.append((began, time.monotonic() - began))
        return answer

    async def send(self, method: str, path: str, document: Any = None, headers: str = "") -> None:
        """Send a request."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address)
        body = b"" if document is None else json.dumps(document).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        )
        self._streams[1].write(head.encode() + body)
        await self._streams[1].drain()

    async def head(self) -> tuple[int, int]:
        """The status of an answer, and the length of its content."""
        assert self._streams is not None
        lines = (await self._streams[0].readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        lengths = [line.split(":")[1] for line in lines if line.startswith("content-length:")]
        return int(lines[0].split(" ")[1]), int(lengths[0]) if lengths else 0

    async def chunk(self) -> bytes:
        """The next chunk of an answer that is sent so; b"" at its end."""
        assert self._streams is not None
        size = int(await self._streams[0].readline() or b"0", 16)
        return (await self._streams[0].readexactly(size + 2))[:-2] if size else b""

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


class Role:
    """What all clients of one kind share."""

    def __init__(self, project: Project, address: tuple[str, int], token: str) -> None:
        self.project = project
        self.stopping = asyncio.Event()
        self.wrong: list[str] = []
        self.cuts = 0
        self.latencies: list[tuple[float, float]] = []
        self._address = address
        self._token = token

    def connection(self) -> Connection:
        return Connection(self._address, self._token, self.latencies)

    def acknowledged(self) -> None:
        print("done", flush=True)

    async def known(self, connection: Connection, *words: Any) -> Answer:
        """What is answered in the end, however often it must be asked."""
        while True:
            try:
                return await connection.ask(*words)
            except Cut:
                self.cuts += 1

    def clients(self) -> Iterator[Coroutine[Any, Any, None]]:
        """What each of them does."""
        raise NotImplementedError

    async def end(self) -> dict[str, Any]:
        """What was promised to them."""
        raise NotImplementedError

    async def pause(self, some: random.Random) -> None:
        await asyncio.sleep(some.uniform(0, 2 * PACE_SECONDS))


def payload(number: int) -> dict[str, Any]:
    return {
        "session_id": f"s{number % 60:02}",
        "hook_event_name": "PreToolUse",
        "tool_name": "Bash",
        "tool_input": {"command": "x" * 300},
        "number": number,
    }


class Writers(Role):
    """Those who name their events send them until they know; hooks have no second try."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self._numbers = itertools.count()
        self._ids: dict[str, str] = {}
        self._hooked: list[int] = []

    def clients(self) -> Iterator[Coroutine[Any, Any, None]]:
        for number in range(WRITERS):
            yield self._write(random.Random(number))
        for number in range(HOOKS):
            yield self._hook(random.Random(1_000 + number))

    async def _write(self, some: random.Random) -> None:
        connection = self.connection()
        sent: list[dict[str, Any]] = []
        while not self.stopping.is_set():
            batch = [
                {"id": str(uuid.uuid4()), "tool": some.choice(TOOLS), "payload": payload(number)}
                for number in itertools.islice(self._numbers, some.randint(1, 4))
            ]
            again = some.sample(sent, 1) if sent and some.random() < 0.2 else []
            answer = await self.known(connection, "POST", "/v1/events", batch + again)
            if answer.status != 200:
                self.wrong.append(f"{answer}")
                continue
            for one in answer.document["results"]:
                before = self._ids.get(one["id"])
                if one["result"] not in ("new", "same", "spooled") or (
                    (before, one["result"]) == ("stored", "new")
                ):
                    self.wrong.append(f"{one}, {before} before")
                if before != "stored":
                    self._ids[one["id"]] = "waits" if one["result"] == "spooled" else "stored"
            sent = (sent + batch)[-50:]
            self.acknowledged()
            await self.pause(some)

    async def _hook(self, some: random.Random) -> None:
        connection = self.connection()
        while not self.stopping.is_set():
            number = next(self._numbers)
            try:
                tool = some.choice(TOOLS)
                answer = await connection.ask("POST", f"/hooks/{tool}", payload(number))
            except Cut:
                self.cuts += 1
                continue
            if answer.status == 200:
                self._hooked.append(number)
                self.acknowledged()
            else:
                self.wrong.append(f"{answer}")
            await self.pause(some)

    async def end(self) -> dict[str, Any]:
        return {"ids": [*self._ids], "numbers": self._hooked}


class Spoolers(Role):
    """Those whose events come as the hook's do, by the spool."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self._ids: list[str] = []

    def clients(self) -> Iterator[Coroutine[Any, Any, None]]:
        for number in range(SPOOLERS):
            yield self._accept(number, random.Random(2_000 + number))

    async def _accept(self, first: int, some: random.Random) -> None:
        spool = Spool(self.project)
        for number in itertools.count(1_000_000_000 + first, SPOOLERS):
            if self.stopping.is_set():
                return
            content = json.dumps(payload(number)).encode()
            event = await asyncio.to_thread(spool.accept, some.choice(TOOLS), content)
            self._ids.append(event.id)
            await asyncio.to_thread(wake_drainer, str(self.project.root))
            self.acknowledged()
            await self.pause(some)

    async def end(self) -> dict[str, Any]:
        return {"ids": self._ids, "numbers": []}


class Case:
    """An application's session, and what is known of it by all who work at it."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.path = f"{APPLICATION_SESSIONS}/{id}"
        self.fields = {"session_id": id, "group": id[-1], "own": {"steps": []}}
        self.versions: list[int] = []
        self.unsaid = 0
        self.completed = 0


class Users(Role):
    """Two at a session each, who change it, are late, say things twice and complete it."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self._cases: dict[str, Case] = {}
        self._added: list[str] = []

    def clients(self) -> Iterator[Coroutine[Any, Any, None]]:
        for number in range(USERS):
            yield _User(self, number).work()

    def case(self, pair: int, round: int) -> Case:
        id = f"case-{pair:02}-{round}"
        return self._cases.setdefault(id, Case(id))

    def added(self, id: str) -> None:
        self._added.append(id)

    async def end(self) -> dict[str, Any]:
        return {
            "added": self._added,
            "cases": {
                one.id: {"versions": one.versions, "unsaid": one.unsaid, "completed": one.completed}
                for one in self._cases.values()
            },
        }


class _User:
    def __init__(self, users: Users, number: int) -> None:
        self._users = users
        self._name = f"by{number}"
        self._pair = number % (USERS // 2)
        self._completes = number < USERS // 2
        self._some = random.Random(3_000 + number)
        self._connection = users.connection()
        self._numbers = itertools.count(1)
        self._version = 0
        self._sent: list[tuple[str, dict[str, Any]]] = []

    async def work(self) -> None:
        for round in itertools.count():
            case = self._users.case(self._pair, round)
            self._version, self._sent = 0, []
            await self._begin(case)
            steps = [self._change, self._change, self._be_late, self._add, self._add, self._begin]
            for _ in itertools.count() if not self._completes else range(STEPS):
                if self._users.stopping.is_set():
                    return
                if not await self._some.choice([*steps, self._look])(case):
                    break
                await self._users.pause(self._some)
            else:
                await self._complete(case)

    async def _ask(self, *words: Any) -> Answer:
        return await self._users.known(self._connection, *words)

    def _say(self, case: Case, answer: Answer, what: str) -> None:
        self._users.wrong.append(f"{case.id}: {what}, {self._version} known: {answer}")

    def _saw(self, case: Case, answer: Answer, version: int) -> None:
        if version < self._version:
            self._say(case, answer, "an old version")
        self._version = max(self._version, version)

    async def _begin(self, case: Case) -> bool:
        """Begin it, or begin it again."""
        answer = await self._ask("POST", APPLICATION_SESSIONS, case.fields)
        if answer.status not in (200, 201):
            self._say(case, answer, "not begun")
            return True
        self._saw(case, answer, answer.document["version"])
        self._users.acknowledged()
        return bool(answer.document["status"] == "active")

    async def _look(self, case: Case) -> bool:
        answer = await self._ask("GET", case.path)
        self._saw(case, answer, answer.document["version"])
        return bool(answer.document["status"] == "active")

    async def _change(self, case: Case) -> bool:
        """Make the next version; who does not know whether it was made looks for its mark."""
        number = next(self._numbers)
        patch = {self._name: number}
        headers = f'If-Match: "{self._version}"\r\n'
        try:
            answer = await self._connection.ask("PATCH", case.path, patch, headers)
        except Cut:
            self._users.cuts += 1
            found = await self._ask("GET", case.path)
            case.unsaid += found.document.get(self._name) == number
            self._saw(case, found, found.document["version"])
            return bool(found.document["status"] == "active")
        if answer.status == 200:
            version = answer.document["version"]
            if version != self._version + 1:
                self._say(case, answer, "not the next version")
            case.versions.append(version)
            self._version = version
            self._users.acknowledged()
            return True
        error = answer.document["error"]
        if error["code"] == "version" and error["version"] == self._version:
            self._say(case, answer, "refused for the version that it has")
        return self._refused(case, answer)

    def _refused(self, case: Case, answer: Answer) -> bool:
        if answer.status != 409:
            self._say(case, answer, "refused")
            return True
        error = answer.document["error"]
        self._saw(case, answer, error["version"])
        return bool(error["code"] != "completed")

    async def _be_late(self, case: Case) -> bool:
        """Change what is not there any more: it is always refused."""
        if self._version < 2:
            return True
        patch = {"version": self._version - 1, "late": self._name}
        answer = await self._ask("PATCH", case.path, patch)
        if answer.status != 409:
            self._say(case, answer, "late, and taken")
            return True
        self._users.acknowledged()
        return self._refused(case, answer)

    async def _add(self, case: Case) -> bool:
        """Add something, or once more what was added before."""
        is_again = bool(self._sent) and self._some.random() < 0.3
        if is_again:
            name, one = self._some.choice(self._sent)
        else:
            name = self._some.choice(KINDS)
            one = {**one_of(name), "id": str(uuid.uuid4())}
        answer = await self._ask("POST", f"{case.path}/{name}", one)
        if answer.status != 200:
            return self._refused(case, answer)
        (told,) = answer.document["results"]
        if told["result"] not in (("same",) if is_again else ("new", "same")):
            self._say(case, answer, "added")
        if not is_again:
            self._sent.append((name, one))
            self._users.added(one["id"])
        self._users.acknowledged()
        return True

    async def _complete(self, case: Case) -> None:
        answer = await self._ask("POST", f"{case.path}/complete", {"outcome": "passed"})
        if answer.status != 200:
            self._say(case, answer, "not completed")
        else:
            self._saw(case, answer, answer.document["version"])
            case.completed = answer.document["version"]
            self._users.acknowledged()


class Listeners(Role):
    """Most listen to all; each comes back with its last id whenever it was cut off."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self._numbers: dict[bytes, int] = {}
        self._listeners = [
            _Listener(self, {} if number % 3 else QUERIES[number % 2])
            for number in range(LISTENERS)
        ]

    def number(self, id: bytes) -> int:
        return self._numbers.setdefault(id, len(self._numbers))

    def clients(self) -> Iterator[Coroutine[Any, Any, None]]:
        for one in self._listeners:
            yield one.listen()

    async def end(self) -> dict[str, Any]:
        """What each has missed, heard twice, or heard and nobody has stored."""
        stored = json.loads((self.project.root / "stored.json").read_bytes())
        for one in self._listeners:
            wanted = {self.number(id.encode()) for id in stored if one.wants(*stored[id])}
            # Whoever still hears something new is behind, and has missed nothing yet.
            heard, until = len(one.seen), time.monotonic() + LONGEST_SECONDS
            while wanted - one.seen.keys() and time.monotonic() < until:
                await asyncio.sleep(0.1)
                if len(one.seen) > heard:
                    heard, until = len(one.seen), time.monotonic() + LONGEST_SECONDS
            missed, more = len(wanted - one.seen.keys()), len(one.seen.keys() - wanted)
            twice = sum(count > 1 for count in one.seen.values())
            if (missed or more or twice) and not one.gaps:
                self.wrong.append(f"{one.query}: {missed=} {more=} {twice=}")
        gaps = [gap for one in self._listeners for gap in one.gaps]
        return {"gaps": gaps, "heard": sum(len(one.seen) for one in self._listeners)}


class _Listener:
    def __init__(self, listeners: Listeners, query: dict[str, str]) -> None:
        self.query = query
        self.seen: dict[int, int] = {}
        self.gaps: list[str] = []
        self._listeners = listeners
        self._last = b""
        self._has_begun = False

    def wants(self, tool: str, session: str) -> bool:
        return self.query.items() <= {"tool": tool, "session": session}.items()

    async def listen(self) -> None:
        while True:
            connection = self._listeners.connection()
            try:
                await self._follow(connection)
            except (OSError, EOFError):
                pass
            finally:
                connection.close()
            self._listeners.cuts += 1
            await asyncio.sleep(AWAY_SECONDS)

    async def _follow(self, connection: Connection) -> None:
        headers = f"Last-Event-ID: {self._last.decode()}\r\n" if self._last else ""
        await connection.send("GET", f"/v1/live?{urlencode(self.query)}", headers=headers)
        status, length = await connection.head()
        if status != 200:
            if status != 503:
                self._listeners.wrong.append(f"{self.query}: {status}")
            return
        assert not length
        buffer = b""
        while chunk := await connection.chunk():
            *blocks, buffer = (buffer + chunk).split(b"\n\n")
            for block in blocks:
                self._hear(dict(line.partition(b": ")[::2] for line in block.split(b"\n")))

    def _hear(self, fields: dict[bytes, bytes]) -> None:
        self._last = fields.get(b"id", self._last)
        if not self._has_begun:
            self._has_begun = True
            self._listeners.acknowledged()
        kind = fields.get(b"event")
        if kind == b"gap":
            self.gaps.append(fields[b"data"].decode())
        elif kind == b"hook_event":
            number = self._listeners.number(fields[b"data"].split(b'"', 4)[3])
            self.seen[number] = self.seen.get(number, 0) + 1


ROLES: dict[str, Callable[..., Role]] = {
    "writers": Writers, "spoolers": Spoolers, "users": Users, "listeners": Listeners,
}  # fmt: skip


async def main() -> None:
    os.nice(5)
    name, root, url = sys.argv[1:]
    host, _, port = url.rpartition("//")[2].rpartition(":")
    role = ROLES[name](Project(Path(root)), (host, int(port)), sys.stdin.readline().strip())
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.readline()
        loop.call_soon_threadsafe(role.stopping.set)

    threading.Thread(target=wait, daemon=True).start()
    tasks = [asyncio.ensure_future(one) for one in role.clients()]
    stopping = asyncio.ensure_future(role.stopping.wait())
    waiting = {stopping, *tasks}
    # Listeners go on: what was stored last is to reach them.
    while not stopping.done() or (name != "listeners" and waiting):
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    told = await role.end()
    for task in tasks:
        task.cancel()
    common = {"wrong": role.wrong[:20], "cuts": role.cuts, "latencies": role.latencies}
    print(json.dumps({**common, **told}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
