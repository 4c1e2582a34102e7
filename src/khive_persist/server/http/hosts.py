"""The check that a request names this server, and comes from its own pages or from no page.

A page of another site that points its own name at this address (DNS rebinding) names another host;
one that sends requests here from a browser has another origin.
"""

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from khive_persist.server.http.errors import HTTPError, error_response

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
_AUTHORITY: Final = re.compile(r"(\[[0-9a-f:]{2,39}\]|[a-z0-9][a-z0-9.-]{0,252})(?::(\d{1,5}))?\Z")
_ORIGIN: Final = re.compile(r"https?://(.{1,300})\Z")
_OWN_SITES: Final = frozenset({b"same-origin", b"none"})


@lru_cache(maxsize=8)
def allowed_hosts(address: str, extra: tuple[str, ...]) -> frozenset[str]:
    """Return the names under which a server at this address is known, in lower case."""
    names = {name.lower() for name in (*LOOPBACK, *extra)}
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        names.add(address.lower())
    else:
        # 0.0.0.0 and :: are no names: a server on every address needs to be told its own.
        if not parsed.is_unspecified:
            names.add(f"[{parsed}]" if parsed.version == 6 else str(parsed))
    return frozenset(names)


class HostMiddleware:
    """The middleware that refuses other hosts and origins, on routes that do not exist, too."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Callable[[], frozenset[str]],
        origins: Callable[[], frozenset[str]],
    ) -> None:
        """Take the allowed names, which are asked for at each request: the settings may change.

        Args:
            app: The app behind the check.
            hosts: Names in lower case; one without a port is allowed with every port.
            origins: Origins besides the server's own, as `https://example.test:8080`.
        """
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        app = self._app if refusal is None else error_response(refusal)
        await app(scope, receive, send)

    def _refusal(self, scope: Scope) -> HTTPError | None:
        headers: dict[bytes, list[bytes]] = {b"host": [], b"origin": [], b"sec-fetch-site": []}
        mode = b""
        for name, value in scope["headers"]:
            if name in headers:
                headers[name].append(value)
            elif name == b"sec-fetch-mode":
                mode = value
        host = _only(headers[b"host"])
        if not self._is_host(host):
            return HTTPError(
                421,
                "host",
                "this server is not known by that name",
                hint="name it in server.allowed_hosts of config.toml",
            )
        origins = headers[b"origin"]
        if origins and not self._is_origin(_only(origins), host):
            return HTTPError(
                403,
                "origin",
                "pages of that origin are not answered",
                hint="name it in server.allowed_origins of config.toml",
            )
        sites = headers[b"sec-fetch-site"]
        # A link from anywhere may lead here; what it opens sends its own requests after.
        follows_link = mode == b"navigate" and scope["method"] in {"GET", "HEAD"}
        if not origins and not follows_link and not _OWN_SITES.issuperset(sites):
            return HTTPError(403, "origin", "pages of other sites are not answered")
        return None

    def _is_host(self, host: str) -> bool:
        hosts = self._hosts()
        match = _AUTHORITY.match(host)
        if match is None:
            return False
        return host in hosts or match[1] in hosts

    def _is_origin(self, origin: str, host: str) -> bool:
        if origin in self._origins():
            return True
        match = _ORIGIN.match(origin)
        return match is not None and match[1] == host


def _only(values: list[bytes]) -> str:
    """Return the only value in lower case; an empty string for none, several, or no ASCII."""
    if len(values) != 1:
        return ""
    try:
        return values[0].decode("ascii").lower()
    except UnicodeDecodeError:
        return ""
