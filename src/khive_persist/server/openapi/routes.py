"""The route of the OpenAPI document."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.openapi.document import openapi
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.routes.read.parameters import parsed
from khive_persist.server.routes.read.responses import answer


def routes(access: Access, every: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return the route that describes every route, itself included; looked at when it is asked."""

    async def document(request: Request) -> Response:
        parsed(request, ())
        return answer(request, openapi(access, every))

    return [route(access, "GET", "/v1/openapi.json", document, right="read")]
