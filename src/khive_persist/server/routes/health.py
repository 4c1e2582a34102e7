"""`/healthz`, `/readyz` and `/metrics`: for who watches the server."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.http.errors import json_response
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.routes.metrics import Metrics


class ServerStatus(NamedTuple):
    """Whether a server answers: ok, ready, stopping or not ready."""

    status: str


def routes(
    access: Access,
    metrics: Metrics,
    stopping: anyio.Event,
    is_ready: Callable[[], Awaitable[bool]],
    pending_count: Callable[[], int],
) -> list[BaseRoute]:
    """Return the routes of this group.

    Args:
        access: The access that the server gives.
        metrics: Its counters.
        stopping: Set when it begins to stop.
        is_ready: Whether it can store and read just now.
        pending_count: The number of requests that wait for a commit.
    """

    async def healthz(_request: Request) -> Response:
        return json_response(ServerStatus("ok"))

    async def readyz(_request: Request) -> Response:
        if stopping.is_set():
            return json_response(ServerStatus("stopping"), 503, {"retry-after": "5"})
        if not await is_ready():
            return json_response(ServerStatus("not ready"), 503, {"retry-after": "5"})
        return json_response(ServerStatus("ready"))

    async def counters(_request: Request) -> Response:
        content, kind = metrics.text(pending_count())
        return Response(content, headers={"content-type": kind})

    return [
        route(access, "GET", "/healthz", healthz, right=None),
        route(access, "GET", "/readyz", readyz, right=None),
        route(access, "GET", "/metrics", counters, right="read"),
    ]
