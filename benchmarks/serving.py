"""Events over HTTP, durable before the answer: against less work, one session, and no listeners."""

import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from benchmarks.http_load import CONNECTIONS, listeners, rate, serving
from benchmarks.samples import payload
from benchmarks.table import Line, median_ratio

PAYLOAD_BYTES: Final = 2_000
ROUNDS: Final = 7
SESSIONS: Final = 100
LISTENERS: Final = 60
_BODIES: Final = 400
# As `payload` numbers its sessions.
_EVENTS_A_SESSION: Final = 200
_KINDS: Final = ("storing", "answering", "one commit a request")


def measure(rounds: int = ROUNDS) -> list[Line]:
    """Ingest beside its floors, spread over sessions, and with listeners."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return [*_stored(folder, rounds), _spread(folder, rounds), _listened(folder, rounds)]


def _stored(folder: Path, rounds: int) -> list[Line]:
    rates: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    bodies = _bodies(2)
    with ExitStack() as stack:
        servers = {kind: stack.enter_context(serving(folder / kind, kind)) for kind in _KINDS}
        for _ in range(rounds + 1):
            for kind, server in servers.items():
                rates[kind].append(rate(server, bodies))
    ours, answering, alone = (rates[kind][1:] for kind in _KINDS)
    what = f"events of 2 KB over HTTP, {CONNECTIONS} connections, durable before the answer"
    return [
        _line(f"{what}, against answering without storing", ours, answering, 0.45),
        _line(f"{what}, against one commit a request", ours, alone, 1.5),
    ]


def _spread(folder: Path, rounds: int) -> Line:
    many: list[float] = []
    one: list[float] = []
    with serving(folder / "many") as of_many, serving(folder / "one") as of_one:
        for _ in range(rounds + 1):
            many.append(rate(of_many, _bodies(SESSIONS)))
            one.append(rate(of_one, _bodies(1)))
    return _line(f"ingest over HTTP of {SESSIONS} sessions, against one", many[1:], one[1:], 0.8)


def _listened(folder: Path, rounds: int) -> Line:
    heard: list[float] = []
    alone: list[float] = []
    bodies = _bodies(1)
    with serving(folder / "heard") as of_heard, serving(folder / "unheard") as of_alone:
        for _ in range(rounds + 1):
            with listeners(of_heard, LISTENERS):
                heard.append(rate(of_heard, bodies))
            alone.append(rate(of_alone, bodies))
    return _line(
        f"ingest over HTTP with {LISTENERS} live listeners, against none", heard[1:], alone[1:], 0.8
    )


def _bodies(sessions: int) -> list[bytes]:
    """Payloads that go through so many sessions in turn."""
    return [
        payload(
            PAYLOAD_BYTES,
            number % sessions * _EVENTS_A_SESSION + number // sessions % _EVENTS_A_SESSION,
            post=number % 2 == 1,
        )
        for number in range(_BODIES)
    ]


def _line(what: str, ours: list[float], against: list[float], goal: float) -> Line:
    return Line(what, _text(ours), _text(against), median_ratio(ours, against), goal)


def _text(rates: list[float]) -> str:
    return f"{statistics.median(rates):,.0f} events/s"
