"""`/healthz`, `/readyz` and `/metrics`: for who watches the server."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.context import Serving
from khive_persist.server.http.errors import json_response
from khive_persist.server.request.auth import route


def routes(serving: Serving) -> list[BaseRoute]:
    """The routes of this group."""

    async def healthz(_request: Request) -> Response:
        return json_response({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if serving.stopping.is_set():
            return json_response({"status": "stopping"}, 503, {"retry-after": "5"})
        if not serving.project.exists() or not serving.recorder.is_ready:
            return json_response({"status": "not ready"}, 503, {"retry-after": "5"})
        return json_response({"status": "ready"})

    async def metrics(_request: Request) -> Response:
        content, kind = serving.metrics.text(serving.recorder.waiting)
        return Response(content, headers={"content-type": kind})

    return [
        route(serving, "GET", "/healthz", healthz, right=None),
        route(serving, "GET", "/readyz", readyz, right=None),
        route(serving, "GET", "/metrics", metrics, right="read"),
    ]
