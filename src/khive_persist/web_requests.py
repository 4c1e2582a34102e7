"""Requests to an address that the person wrote into the settings: bounded, and never redirected."""

import http.client
import ipaddress
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

TRIES: Final = 3
REQUEST_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 1.0


class RequestFailedError(Exception):
    """A request got no answer that is of use; the text says why, in a few words.

    Attributes:
        status: The HTTP status, or None where there was no answer.
    """

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def may_pass(self) -> bool:
        """Return whether the same request may succeed when it is sent again."""
        return self.status is None or self.status >= 500 or self.status == 429


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: what is sent is for the address that the person wrote."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def is_loopback(host: str) -> bool:
    """Return whether what is sent to a host stays on this machine, and nobody else reaches it.

    Args:
        host: An address, without brackets, or a name: of names, only localhost is.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def post_json(
    address: str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    seconds: float,
    request_seconds: float = REQUEST_SECONDS,
    first_pause: float = FIRST_PAUSE_SECONDS,
    most_bytes: int = 0,
) -> bytes:
    """Post a JSON document, a few times where that may help; return the body of the answer.

    Args:
        address: An address with `http` or `https`.
        body: The document.
        headers: Further headers.
        seconds: The time of all tries together.
        request_seconds: The longest silence of the server within a try.
        first_pause: The seconds before the second try; twice that before the third.
        most_bytes: The longest answer that is read. 0 reads none, and returns nothing.

    Raises:
        RequestFailedError: None of the tries succeeded, or the time is over. No text of the
            server's and no part of the address is in it.
    """
    answers: list[bytes | RequestFailedError] = []

    def run() -> None:
        headings = {"Content-Type": "application/json", "User-Agent": "khive-persist"}
        try:
            request = urllib.request.Request(address, body, headings | dict(headers or {}))  # noqa: S310 - settings check it
            answers.append(_tried(request, request_seconds, first_pause, most_bytes))
        except RequestFailedError as error:
            answers.append(error)

    # A server that answers byte by byte has no timeout: who waits has.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    answer = answers[0] if answers else RequestFailedError(f"took more than {seconds:g} s")
    if isinstance(answer, RequestFailedError):
        raise answer
    return answer


def _tried(
    request: urllib.request.Request, seconds: float, first_pause: float, most_bytes: int
) -> bytes:
    for number in range(TRIES - 1):
        try:
            return _sent(request, seconds, most_bytes)
        except RequestFailedError as error:
            if not error.may_pass:
                raise
        time.sleep(first_pause * 2**number)
    return _sent(request, seconds, most_bytes)


def _sent(request: urllib.request.Request, seconds: float, most_bytes: int) -> bytes:
    try:
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=seconds) as answer:
            body: bytes = answer.read(most_bytes + 1) if most_bytes else b""
    except urllib.error.HTTPError as error:
        error.close()
        raise RequestFailedError(f"answered {error.code}", error.code) from error
    except urllib.error.URLError as error:
        reason = getattr(error.reason, "strerror", None) or error.reason
        raise RequestFailedError(f"does not answer ({reason})") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise RequestFailedError(f"does not answer ({type(error).__name__})") from error
    if len(body) > most_bytes:
        raise RequestFailedError(f"answered more than {most_bytes:,} bytes", 200)
    return body
