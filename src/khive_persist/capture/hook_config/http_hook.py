"""The HTTP hook with which a tool sends an event to the server of a project.

`{"type": "http", "url": "http://127.0.0.1:8423/hooks/TOOL", "headers": {"Authorization": "Bearer
$KHIVE_TOKEN", "Khive-Off": "$KHIVE_OFF"}, "allowedEnvVars": ["KHIVE_TOKEN", "KHIVE_OFF"],
"timeout": …}`: the tool puts in the token from its own environment, so that it never stands in a
settings file, and says whether recording is off there.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from khive_persist.capture import spool_writer
from khive_persist.errors import InvalidSettingsError
from khive_persist.web_requests import is_loopback

TOKEN_VARIABLE: Final = "KHIVE_TOKEN"  # noqa: S105 - its name, not what it holds.
OFF_HEADER: Final = "Khive-Off"
_HEADER: Final = "Authorization"
_BEARER: Final = f"Bearer ${TOKEN_VARIABLE}"
# As others write it, who mean the same.
_OURS: Final = (_BEARER, f"Bearer ${{{TOKEN_VARIABLE}}}")
_ALLOWED: Final = "allowedEnvVars"

BY_HAND: Final = (
    "Keep the server running: `khive-persist serve`, or `khive-persist serve --install` to start"
    " it at each login.",
    "Make a token with `khive-persist serve token create NAME --rights ingest`, and export it as"
    f" {TOKEN_VARIABLE} where the tool is started. With a proxy in HTTP_PROXY, name 127.0.0.1 in"
    " NO_PROXY.",
    "What the server misses is made anew from the transcript at the end of the session, as"
    " `khive-persist hooks install --help` says; `khive-persist doctor --session ID` counts it.",
)


def hook_url(tool: str, server: str) -> str:
    """Return the URL that a tool sends its events to.

    Args:
        tool: The name of one of `TOOLS`.
        server: The URL of a server of this machine, as `serve` prints it.

    Raises:
        InvalidSettingsError: It is none: what is sent elsewhere, others could read on the way, and
            a tool does not send it to a private address.
    """
    try:
        parsed = urlsplit(server)
        is_server = (
            parsed.scheme in ("http", "https")
            and is_loopback(parsed.hostname or "")
            and parsed.port is not None
            and parsed.path in ("", "/")
            and not (parsed.query or parsed.fragment or "@" in parsed.netloc)
        )
    except ValueError:
        is_server = False
    if not is_server:
        raise InvalidSettingsError(
            f"{server!r} is no server of this machine", hint="as --url http://127.0.0.1:8423"
        )
    return f"{parsed.scheme}://{parsed.netloc}/hooks/{tool}"


def http_hook(url: str, timeout: int) -> dict[str, object]:
    """Return the entry that sends an event there."""
    return {
        "type": "http",
        "url": url,
        # A variable that is not set is an empty value.
        "headers": {_HEADER: _BEARER, OFF_HEADER: f"${spool_writer.OFF}"},
        _ALLOWED: [TOKEN_VARIABLE, spool_writer.OFF],
        "timeout": timeout,
    }


def is_our_http_hook(hook: Mapping[str, Any], tool: str) -> bool:
    """Return whether an entry in any settings file is our HTTP hook for this tool."""
    url, headers = hook.get("url"), hook.get("headers")
    if hook.get("type") != "http" or not isinstance(url, str) or not isinstance(headers, dict):
        return False
    try:
        parsed = urlsplit(url)
        is_local = is_loopback(parsed.hostname or "")
    except ValueError:
        return False
    return is_local and parsed.path == f"/hooks/{tool}" and headers.get(_HEADER) in _OURS


def gets_token(hook: Mapping[str, Any]) -> bool:
    """Return whether the tool puts the token into one of our entries."""
    allowed = hook.get(_ALLOWED)
    return isinstance(allowed, list) and TOKEN_VARIABLE in allowed
