"""Deliver a warning: start a command of the user's, or post to a webhook. Both are bounded in time.

Neither is told anything by way of a shell or a command line: the amounts are JSON on stdin, or the
body of the request.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from khive_persist import web_requests
from khive_persist.store import codec
from khive_persist.web_requests import RequestFailedError

Channel = Literal["command", "webhook"]

COMMAND_SECONDS: Final = 30.0
WEBHOOK_SECONDS: Final = 25.0
# Of a variable of the environment: a session's id may have any length, and any character.
_MOST_CHARACTERS: Final = 1_000


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
    first_pause: float = web_requests.FIRST_PAUSE_SECONDS,
) -> str:
    """Post to a webhook, a few times where that may help; return why it failed, or an empty text.

    The address may be a secret: only its host is named.
    """
    body = codec.dump_lossy(document).encode()
    try:
        web_requests.post_json(address, body, seconds=seconds, first_pause=first_pause)
    except RequestFailedError as error:
        return f"{urlsplit(address).hostname} {error}"
    return ""


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"code {code}"
