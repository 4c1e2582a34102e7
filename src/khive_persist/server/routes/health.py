"""`/healthz`, `/readyz` and `/metrics`: for who watches the server."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.context import ServerContext
from khive_persist.server.http.errors import json_response
from khive_persist.server.request.auth import route


def routes(context: ServerContext) -> list[BaseRoute]:
    """Return the routes of this group."""

    async def healthz(_request: Request) -> Response:
        return json_response({"status": "ok"})

    async def readyz(_request: Request) -> Response:
        if context.stopping.is_set():
            return json_response({"status": "stopping"}, 503, {"retry-after": "5"})
        if not context.project.exists() or not context.intake.recorder.is_ready:
            return json_response({"status": "not ready"}, 503, {"retry-after": "5"})
        return json_response({"status": "ready"})

    async def metrics(_request: Request) -> Response:
        content, kind = context.metrics.text(
            context.intake.recorder.pending_count + context.intake.large_recorder.pending_count
        )
        return Response(content, headers={"content-type": kind})

    return [
        route(context.access, "GET", "/healthz", healthz, right=None),
        route(context.access, "GET", "/readyz", readyz, right=None),
        route(context.access, "GET", "/metrics", metrics, right="read"),
    ]
