"""`Operation`: a route that reads, with all that its callers are told of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.http.tokens import Right
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.routes.read.listing import Listing, answer_list
from khive_persist.server.routes.read.parameters import OF_LISTS, Parameter, parsed
from khive_persist.server.routes.read.responses import answer_bytes
from khive_persist.store import codec

# It takes milliseconds to pack, in which others have their turn.
_LARGE_BYTES: Final = 65_536


@dataclass(frozen=True)
class ReadRequest:
    """A request, and the valid values of its query, defaults included, and of its path."""

    values: Mapping[str, Any]
    path: Mapping[str, str]
    request: Request

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Operation(NamedTuple):
    """One route that reads.

    Attributes:
        path: The path, with its parameters in braces.
        endpoint: The function that returns a value to answer, a `Listing`, or a whole response.
        summary: The answer, described in one line.
        parameters: The parameters of the query; those of a list's pages come by themselves.
        answer: The type of the answer, or of an item of it; as `module:name` where no module is to
            be imported for it before the OpenAPI document is asked for.
        is_list: Whether the answer is a list: with pages, and as CSV and JSON Lines.
        media_type: The media type of the answer, where it is another than JSON.
        path_words: The descriptions of the parameters of the path, by name.
        refusals: The reasons of statuses besides those of every route, by status.
        is_deprecated: Whether another path has replaced this one.
    """

    path: str
    endpoint: Callable[[ReadRequest], Awaitable[Any]]
    summary: str
    parameters: tuple[Parameter, ...] = ()
    answer: Any = None
    is_list: bool = False
    media_type: str = "application/json"
    path_words: Mapping[str, str] = {}
    refusals: Mapping[str, str] = {}
    is_deprecated: bool = False

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """Return those of the query, the pages' included."""
        return (*self.parameters, *OF_LISTS) if self.is_list else self.parameters


def routes_of(
    access: Access, operations: Sequence[Operation], right: Right = "read"
) -> list[BaseRoute]:
    """Return the routes of some operations; each needs the right."""
    return [
        route(access, "GET", operation.path, _endpoint(operation), right=right, operation=operation)
        for operation in operations
    ]


def _endpoint(operation: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        query = ReadRequest(parsed(request, operation.all_parameters), request.path_params, request)
        result = await operation.endpoint(query)
        if isinstance(result, Response):
            return result
        if isinstance(result, Listing):
            return await answer_list(request, result, query.values)
        body = codec.dump_lossy(result).encode()
        if len(body) > _LARGE_BYTES:
            return await anyio.to_thread.run_sync(answer_bytes, request, body)
        return answer_bytes(request, body)

    return respond
