"""Deliver a warning: start a command of the user's, or post to a webhook. Both are bounded in time.

Neither is told anything by way of a shell or a command line: the amounts are JSON on stdin, or the
body of the request.
"""

import http.client
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from khive_persist.store import codec

Channel = Literal["command", "webhook"]

COMMAND_SECONDS: Final = 30.0
REQUEST_SECONDS: Final = 5.0
REQUESTS: Final = 3
WEBHOOK_SECONDS: Final = 25.0
_FIRST_PAUSE_SECONDS: Final = 1.0
# Of a variable of the environment: a session's id may have any length, and any character.
_MOST_CHARACTERS: Final = 1_000


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: what is sent is for the address that the person wrote."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def run_command(
    words: Sequence[str], document: Mapping[str, Any], seconds: float = COMMAND_SECONDS
) -> str:
    """Start a command, and return the reason why it failed, or an empty text.

    What it prints is nobody's. It is killed, with its children, when its time is over.
    """
    variables = {
        f"KHIVE_BUDGET_{name.upper()}": str(value).replace("\0", "")[:_MOST_CHARACTERS]
        for name, value in document.items()
        if value is not None
    }
    try:
        process = subprocess.Popen(  # noqa: S603 - the person's own, word by word
            [*words],
            env=os.environ | variables,
            # A relative name must not be one of the working directory.
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"{words[0]} cannot be started ({reason})"
    try:
        process.communicate(codec.dump_lossy(document).encode(), timeout=seconds)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"{words[0]} took more than {seconds:g} s and was ended"
    code = process.returncode
    return "" if code == 0 else f"{words[0]} ended with {_ending(code)}"


def post(
    address: str,
    document: Mapping[str, Any],
    *,
    seconds: float = WEBHOOK_SECONDS,
    first_pause: float = _FIRST_PAUSE_SECONDS,
) -> str:
    """Post to a webhook, a few times where that may help; return why it failed, or an empty text.

    The address may be a secret: only its host is named.
    """
    reasons: list[str] = []
    # A server that answers byte by byte has no timeout: who waits has.
    thread = threading.Thread(
        target=_post, args=(address, document, first_pause, reasons), daemon=True
    )
    thread.start()
    thread.join(seconds)
    reason = f"took more than {seconds:g} s" if thread.is_alive() else reasons[-1]
    return f"{urlsplit(address).hostname} {reason}" if reason else ""


def _post(
    address: str, document: Mapping[str, Any], first_pause: float, reasons: list[str]
) -> None:
    body = codec.dump_lossy(document).encode()
    for number in range(REQUESTS):
        if number:
            time.sleep(first_pause * 2 ** (number - 1))
        reason, is_final = _request(address, body)
        reasons.append(reason)
        if is_final:
            return


def _request(address: str, body: bytes) -> tuple[str, bool]:
    """Return why a request failed, or an empty text, and whether another one is of no use."""
    headers = {"Content-Type": "application/json", "User-Agent": "khive-persist"}
    try:
        request = urllib.request.Request(address, body, headers)  # noqa: S310 - settings check it
        opener = urllib.request.build_opener(_NoRedirect)
        with opener.open(request, timeout=REQUEST_SECONDS):
            return "", True
    except urllib.error.HTTPError as error:
        error.close()
        return f"answered {error.code}", error.code < 500 and error.code != 429
    except urllib.error.URLError as error:
        return f"does not answer ({getattr(error.reason, 'strerror', None) or error.reason})", False
    except (OSError, http.client.HTTPException, ValueError) as error:
        return f"does not answer ({type(error).__name__})", False


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"
