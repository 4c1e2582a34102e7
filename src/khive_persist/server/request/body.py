"""The body of a request: all of it, unpacked, or a refusal as soon as it is too much."""

import asyncio
import sys
import zlib
from typing import Any, Final, Protocol

import anyio
import anyio.lowlevel
from starlette.requests import Request

from khive_persist.recorder.live_settings import LiveSettings
from khive_persist.server.http.errors import CLOSE, HTTPError
from khive_persist.server.http.limits import Limits
from khive_persist.store import codec

_STEP_BYTES: Final = 65_536
# Text packs to a tenth or a thirtieth. What claims to be more than this was made to fill memories.
_RATIO: Final = 200
_RATIO_BYTES: Final = 262_144
_PIECE_BYTES: Final = 4_096
# 8 MB, the most that RFC 9659 lets a sender of zstd over HTTP ask of its receiver.
_ZSTD_WINDOW_LOG: Final = 23


class Budget:
    """The memory that bodies may hold together while they are read. Small ones are always let in.

    Attributes:
        unpacking: The lock held while a large piece of a body is unpacked.
    """

    def __init__(self, total_bytes: int, small_bytes: int) -> None:
        self._left = total_bytes
        self.small_bytes = small_bytes
        self.unpacking = asyncio.Lock()

    def take(self, held: int, size: int) -> None:
        """Take what a body that holds so much needs more.

        Raises:
            HTTPError: There is no room for it now.
        """
        size = max(0, held + size - self.small_bytes) - max(0, held - self.small_bytes)
        if size > self._left:
            raise HTTPError(503, "busy", "too many large bodies at once", headers=CLOSE)
        self._left -= size

    def give_back(self, held: int) -> None:
        """Give back what a body of this size had taken."""
        self._left += max(0, held - self.small_bytes)


class _Unpacker(Protocol):
    """Unpacks a stream piece by piece, and never more at a time than it is asked for."""

    # Whether another piece can be had without more data.
    has_more: bool

    @property
    def is_finished(self) -> bool:
        """Return whether the stream ended, with nothing after it."""

    def unpack(self, data: bytes) -> bytes:
        """Return the next piece; `data` is what came since, and may be empty."""


class BodyReader:
    """The reader of bodies, within the limits of a server; its bodies share one `Budget`."""

    def __init__(self, limits: Limits, live: LiveSettings) -> None:
        self._limits = limits
        self._live = live
        self._budget = Budget(limits.buffered_bytes, limits.small_bytes)

    async def read(self, request: Request, *, is_strangers: bool = False) -> bytes:
        """Return all of the body, unpacked.

        Args:
            request: The request.
            is_strangers: Whether its sender is not known yet.

        Raises:
            HTTPError: 408 it does not come in time, 413 it is too large, packed or not, 415 it is
                packed otherwise than with gzip or zstd, 400 what is packed is damaged, 503 no room
                for it now.
            ClientDisconnect: Its sender has left.
        """
        most = self._live.settings.server_max_body_bytes
        seconds = self._limits.body_seconds
        if is_strangers:
            most = min(most, self._limits.stranger_body_bytes)
            seconds = min(seconds, self._limits.stranger_body_seconds)
        try:
            if int(request.headers.get("content-length", "0")) > most:
                raise _too_large(most)
            unpacker = _unpacker(request.headers.get("content-encoding", ""))
            async with asyncio.timeout(seconds):
                return await self._read(request, unpacker, most)
        except TimeoutError as error:
            raise HTTPError(408, "slow", "the body did not come in time", headers=CLOSE) from error

    async def read_json(self, request: Request, *, is_strangers: bool = False) -> Any:
        """Return the body as a JSON document.

        Raises:
            HTTPError: As for `read`; 400 where it is no JSON.
        """
        return load_json(await self.read(request, is_strangers=is_strangers))

    async def _read(self, request: Request, unpacker: _Unpacker | None, most: int) -> bytes:
        pieces: list[bytes] = []
        held = packed = 0

        def keep(piece: bytes) -> None:
            nonlocal held
            if held + len(piece) > most:
                raise _too_large(most)
            self._budget.take(held, len(piece))
            held += len(piece)
            pieces.append(piece)

        try:
            async for chunk in request.stream():
                if unpacker is None:
                    keep(chunk)
                    continue
                # In small pieces, so that what one unpacks to tells at once what it is made for.
                for start in range(0, len(chunk), _PIECE_BYTES):
                    piece = chunk[start : start + _PIECE_BYTES]
                    packed += len(piece)
                    if packed > most:
                        raise _too_large(most)
                    keep(unpacker.unpack(piece))
                    while unpacker.has_more:
                        if held > _RATIO_BYTES and held > packed * _RATIO:
                            raise _too_large(most)
                        # One step of one body at a time, and then the others.
                        async with self._budget.unpacking:
                            await anyio.lowlevel.checkpoint()
                            keep(unpacker.unpack(b""))
            if unpacker is not None and packed and not unpacker.is_finished:
                raise _damaged()
            return b"".join(pieces)
        finally:
            self._budget.give_back(held)


def load_json(body: bytes) -> Any:
    """Return a body as a JSON document.

    Raises:
        HTTPError: 400; it is no JSON.
    """
    try:
        return codec.load(body.decode())
    except ValueError as error:
        raise not_json(error) from error


def not_json(error: ValueError) -> HTTPError:
    """Return the refusal of a body that is no JSON; it quotes nothing of it."""
    reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
    return HTTPError(400, "not_json", f"the body is no JSON ({reason})")


def _unpacker(encoding: str) -> _Unpacker | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip":
            return _Gzip()
        case "zstd":
            return _Zstd()
    raise HTTPError(
        415,
        "content_encoding",
        "the body is packed in a way that is not taken here",
        hint="send it plain, or with gzip or zstd",
        headers=CLOSE | {"accept-encoding": "gzip, zstd"},
    )


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.has_more = False

    @property
    def is_finished(self) -> bool:
        return self._stream.eof and not self._stream.unused_data

    def unpack(self, data: bytes) -> bytes:
        try:
            piece = self._stream.decompress(self._stream.unconsumed_tail + data, _STEP_BYTES)
        except zlib.error as error:
            raise _damaged() from error
        self.has_more = len(piece) == _STEP_BYTES or bool(self._stream.unconsumed_tail)
        if self._stream.unused_data:
            raise _damaged()
        return piece


class _Zstd:
    def __init__(self) -> None:
        # In two branches: the checker knows which Python it is for.
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd
        self._error = zstd.ZstdError
        limit: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        self._stream = zstd.ZstdDecompressor(options=limit)
        self.has_more = False

    @property
    def is_finished(self) -> bool:
        return self._stream.eof

    def unpack(self, data: bytes) -> bytes:
        try:
            piece = self._stream.decompress(data, _STEP_BYTES)
        except (self._error, EOFError) as error:
            raise _damaged() from error
        if self._stream.unused_data:
            raise _damaged()
        self.has_more = not self._stream.eof and not self._stream.needs_input
        return piece


def _too_large(most: int) -> HTTPError:
    return HTTPError(
        413,
        "too_large",
        f"the body has more than {most} bytes, unpacked",
        hint="send less at once, or raise server.max_body_bytes in config.toml",
        headers=CLOSE,
    )


def _damaged() -> HTTPError:
    return HTTPError(400, "damaged", "what is packed in the body is damaged", headers=CLOSE)
