"""A connection: deadlines for its heads, a limit on their bytes, and on how many there are.

uvicorn waits for ever for the end of a head, and takes a head of any size. What it gives an app
comes after; so this stands before it.
"""

from asyncio import TimerHandle, Transport
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final

from khive_persist.server.http.errors import RETRY_AFTER_SECONDS
from khive_persist.server.http.headers import HEADERS
from khive_persist.server.http.limits import Limits
from khive_persist.store import codec

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Base
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
else:
    _Base = object

# In the state of a request's scope: called once it is known who sends it. Until then its connection
# gives way to others.
ADMIT: Final = "khive_persist.admit"
# Between the answers to one client's requests that were sent ahead.
_AHEAD_SECONDS: Final = 0.02
_REASONS: Final = {400: "Bad Request", 431: "Request Header Fields Too Large", 503: "Busy"}
_CODES: Final = {400: "bad_request", 431: "head_too_large", 503: "busy"}


def guarded_protocol(limits: Limits) -> type[Any]:
    """Return the protocol of one server's connections, on httptools where it is installed, else on
    h11.
    """
    pending: dict[_Guard, None] = {}
    shared = {"limits": limits, "pending": pending}
    if find_spec("httptools") is not None:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        return type("Connection", (_HttpToolsGuard, _Guard, HttpToolsProtocol), shared)
    from uvicorn.protocols.http.h11_impl import H11Protocol

    return type("Connection", (_Guard, H11Protocol), shared)


class _Guard(_Base):
    """The limits of a connection, before one of uvicorn's protocols."""

    limits: ClassVar[Limits]
    # Those that have sent no whole head, nothing since an answer, or no token that is known: the
    # longest-waiting first.
    pending: ClassVar[dict["_Guard", None]]

    _head_bytes = 0
    _head_timer: TimerHandle | None = None
    _write_timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections and not self._make_room():
            self._refuse(503, "too many connections")
            return
        self.pending[self] = None
        self._head_timer = self.loop.call_later(self.limits.head_seconds, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self.pending.pop(self, None)
        self._stop_head_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._waits():
            # Before the task runs that answers it.
            self.cycle.scope["state"][ADMIT] = self._admit
            self._stop_head_timer()
            return
        if self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.limits.head_bytes + self.limits.target_bytes:
            self._refuse(431, "the head is too large")
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.limits.head_seconds, self._give_up)

    def on_response_complete(self) -> None:
        self._head_bytes = 0
        super().on_response_complete()
        if self._waits() and not self.transport.is_closing():
            self.pending[self] = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.limits.write_seconds, self._give_up)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "this is no HTTP request")

    def _admit(self) -> None:
        self.pending.pop(self, None)

    def _waits(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> bool:
        longest = next(iter(self.pending), None)
        if longest is None:
            return False
        longest._give_up()
        return True

    def _give_up(self) -> None:
        self.pending.pop(self, None)
        self._stop_head_timer()
        # Not closed: that would wait for the client to read what it is not reading.
        self.transport.abort()

    def _refuse(self, status: int, message: str) -> None:
        body = codec.dump(
            {"error": {"code": _CODES[status], "message": message, "hint": ""}}
        ).encode()
        head = [
            b"HTTP/1.1 %d %b" % (status, _REASONS[status].encode()),
            *(name + b": " + value for name, value in HEADERS),
            b"cache-control: no-store",
            b"content-type: application/json",
            b"content-length: %d" % len(body),
            b"connection: close",
            *([b"retry-after: %d" % RETRY_AFTER_SECONDS] if status == 503 else ()),
        ]
        self.transport.write(b"\r\n".join([*head, b"", body]))
        self.transport.close()

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _HttpToolsGuard(_Base):
    """httptools hands over trailers as headers, as many as come; nothing here wants them.

    Who sends requests ahead, without waiting for the answers, has the next one answered after a
    pause: some such clients would take all of the server's time.

    Of requests that came one after the other, uvicorn tells the last one alone that their sender
    has left; the one that is answered just then would write to what is closed.
    """

    _in_head = True
    _is_ahead = False
    _running: "RequestResponseCycle | None" = None

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def on_response_complete(self) -> None:
        # What is started in it was sent ahead.
        self._is_ahead = True
        super().on_response_complete()
        self._is_ahead = False

    def _start_asgi_task(self, cycle: "RequestResponseCycle", app: "ASGI3Application") -> None:
        if self._is_ahead:
            self.loop.call_later(_AHEAD_SECONDS, self._start_later, cycle, app)
            return
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _start_later(self, cycle: "RequestResponseCycle", app: "ASGI3Application") -> None:
        if not self.transport.is_closing():
            self._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
