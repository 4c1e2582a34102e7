"""Paths whose words may hold an escaped `/`, as ids do: it ends no word."""

import re
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_ESCAPED: Final = re.compile("%2f", re.IGNORECASE)
# No path has it: what is no UTF-8 there is replaced.
_STAND_IN: Final = "\udc2f"


def with_words(app: ASGIApp) -> ASGIApp:
    """Return an app that routes by words that may hold an escaped `/`."""

    async def routing(scope: Scope, receive: Receive, send: Send) -> None:
        raw: bytes = scope["raw_path"]
        if b"%2" in raw:
            path = _ESCAPED.sub(_STAND_IN, raw.decode("ascii", "replace"))
            scope = {**scope, "path": unquote(path)}
        await app(scope, receive, send)

    return routing


def with_slashes(word: str) -> str:
    """Return a word of a path as its sender means it."""
    return word.replace(_STAND_IN, "/")
