"""Ask the server that HTTP hooks send to whether it takes them."""

import http.client
import os
from typing import Final
from urllib.parse import urlsplit

from khive_persist.capture.hook_config.http_hook import TOKEN_VARIABLE

_SECONDS: Final = 2.0
_ASKED: Final = 415
_REFUSED: Final = {
    401: f"does not know the token in {TOKEN_VARIABLE}",
    403: f"gives the token in {TOKEN_VARIABLE} no right to record (ingest)",
}


def problem_of(url: str) -> str:
    """Return the problem that keeps the server from taking events at a hook's URL, or "".

    Nothing is recorded: the body is of a kind that the server refuses after a look at the token.
    The token is that of our own environment, as the tool's is not known.
    """
    parsed = urlsplit(url)
    token = os.environ.get(TOKEN_VARIABLE, "")
    kind = http.client.HTTPSConnection if parsed.scheme == "https" else http.client.HTTPConnection
    connection = kind(parsed.hostname or "", parsed.port, timeout=_SECONDS)
    try:
        headers = {"Content-Type": "text/plain", "Authorization": f"Bearer {token}"}
        connection.request("POST", parsed.path, b"", headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return f"{url} does not answer ({reason}): start `khive-persist serve`"
    finally:
        connection.close()
    if status == _ASKED:
        return ""
    if status == 401 and not token:
        return f"{url} asks for a token, and {TOKEN_VARIABLE} is not set here"
    return f"{url} {_REFUSED.get(status, f'answers {status}: is that our server?')}"
