"""Sending the payloads of a session again: to a hook command, or to a server."""

import http.client
import os
import shlex
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlsplit

from khive_persist.errors import EmissionError, InvalidQueryError
from khive_persist.replay.originals import Original
from khive_persist.replay.playback import Playback, offsets

TOKEN_VARIABLE: Final = "KHIVE_TOKEN"  # noqa: S105 - its name
_ANSWER_SECONDS: Final = 60.0
_ANSWER_BYTES: Final = 1 << 16
_SAID_CHARACTERS: Final = 200


class EmissionResult(NamedTuple):
    """The number of payloads accepted, of those refused by answer, of those not sent by reason."""

    accepted: int
    refused: dict[str, int]
    left_out: dict[str, int]


class Target(Protocol):
    """A target that payloads are sent to."""

    def send(self, tool: str, payload: bytes) -> str:
        """Send a payload, and return the answer of a refusal, or an empty string.

        Raises:
            EmissionError: Nothing can be sent there.
        """


def target_of(address: str) -> Target:
    """Return a server for `http://…` and `https://…`, else a command.

    `{tool}` in the address stands for the tool's name.

    Raises:
        InvalidQueryError: It is neither.
    """
    if address.startswith(("http://", "https://")):
        return _Server(address)
    return _Command(address)


def emit(
    payloads: Sequence[Original],
    target: Target,
    *,
    speed: float = 1.0,
    max_gap_seconds: float | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> EmissionResult:
    """Send payloads one after the other, each when the one before was answered and it is due.

    Args:
        payloads: The payloads, in the order of arrival.
        target: The target.
        speed: The seconds of the session in a second; infinite sends without a pause.
        max_gap_seconds: The longest pause of the session; longer ones are as long as this.
        advance: The function that is called with 1 for each payload that was sent.

    Raises:
        EmissionError: Nothing can be sent there; the message has the number sent before.
    """
    refused: Counter[str] = Counter()
    left_out = Counter(payload.reason for payload in payloads if payload.payload is None)
    sendable = [
        (payload.tool, payload.created_at, payload.payload)
        for payload in payloads
        if payload.payload is not None
    ]
    playback = Playback(offsets([at for _, at, _ in sendable], max_gap_seconds), speed=speed)
    clock = time.monotonic()
    accepted = 0
    for number, (tool, _, payload) in enumerate(sendable):
        while playback.shown <= number:
            time.sleep(playback.wait() or 0.0)
            instant = time.monotonic()
            playback.pass_by(instant - clock)
            clock = instant
        try:
            answer = target.send(tool, payload)
        except EmissionError as error:
            raise EmissionError(
                f"{error}; {accepted} of {len(sendable)} were sent before"
            ) from error
        if answer:
            refused[answer] += 1
        else:
            accepted += 1
        advance(1)
    return EmissionResult(accepted, dict(refused), dict(left_out))


class _Command:
    """A command that is started for each payload, as tools start a hook, without a shell."""

    def __init__(self, command: str) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise InvalidQueryError(f"the command {command!r} cannot be read: {error}") from error
        if not self._words:
            raise InvalidQueryError("the command is empty", hint="as in khive-hook --tool {tool}")

    def send(self, tool: str, payload: bytes) -> str:
        words = [word.replace("{tool}", tool) for word in self._words]
        try:
            process = subprocess.run(  # noqa: S603 - the command is the user's own
                words, input=payload, capture_output=True, timeout=_ANSWER_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no end within {_ANSWER_SECONDS:g} s"
        except OSError as error:
            raise EmissionError(f"{words[0]} cannot be started: {error.strerror}") from error
        if process.returncode == 0:
            return ""
        text = process.stderr.decode(errors="replace").strip()
        return f"exit {process.returncode}" + (f": {_one_line(text)}" if text else "")


class _Server:
    """A server that takes each payload by POST.

    Each has a connection of its own: after one breaks, nobody can tell whether the payload on it
    was accepted, and it would have to be sent twice or not at all.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            self._port = parts.port
        except ValueError as error:
            raise InvalidQueryError(f"the address {url!r} cannot be read: {error}") from error
        if not parts.hostname:
            raise InvalidQueryError(f"the address {url!r} has no host")
        if parts.username or parts.password:
            raise InvalidQueryError(
                "no password goes into an address", hint=f"give a token in {TOKEN_VARIABLE}"
            )
        self._host = parts.hostname
        self._is_secure = parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json"}
        if token := os.environ.get(TOKEN_VARIABLE):
            self._headers["Authorization"] = f"Bearer {token}"

    def send(self, tool: str, payload: bytes) -> str:
        path = self._path.replace("{tool}", tool)
        try:
            with closing(self._connect()) as connection:
                connection.request("POST", path, payload, self._headers)
                answer = connection.getresponse()
                text = answer.read(_ANSWER_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise EmissionError(f"{self._host} gave no answer: {error}") from error
        if 200 <= answer.status < 300:
            return ""
        return f"status {answer.status}" + (f": {_one_line(text)}" if text.strip() else "")

    def _connect(self) -> http.client.HTTPConnection:
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=_ANSWER_SECONDS)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=_ANSWER_SECONDS, context=context
        )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_SAID_CHARACTERS]
