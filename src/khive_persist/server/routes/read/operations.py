"""`Operation`: a route that reads, with all that its callers are told of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.server.context import Serving
from khive_persist.server.request.auth import route
from khive_persist.server.routes.read.listing import Listing, answer_list
from khive_persist.server.routes.read.parameters import CURSOR, LIMIT, Parameter, parsed
from khive_persist.server.routes.read.responses import answer

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request whose parameters are all as they may be.

    Attributes:
        values: By the parameters' names, defaults included.
        path: What stands in the path in place of its braces.
        request: The request itself.
    """

    values: Mapping[str, Any]
    path: Mapping[str, str]
    request: Request

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


class Operation(NamedTuple):
    """One route that reads.

    Attributes:
        path: With its parameters in braces.
        endpoint: Gives the value that is answered, a `Listing`, or a whole response.
        summary: What is answered, one line.
        parameters: Of the query; those of a list's pages come by themselves.
        schema: Of the answer, or of an item of it.
        is_list: Whether the answer is a list: with pages, and as CSV and JSON Lines.
        media_type: Of the answer, where it is another than JSON.
        path_words: What the parameters of the path are, by name.
        refusals: Statuses that it answers besides those of every route, and why.
    """

    path: str
    endpoint: Callable[[Asked], Awaitable[Any]]
    summary: str
    parameters: tuple[Parameter, ...] = ()
    schema: Schema = {}  # noqa: RUF012 - a NamedTuple's default is never changed
    is_list: bool = False
    media_type: str = "application/json"
    path_words: Mapping[str, str] = {}
    refusals: Mapping[str, str] = {}

    @property
    def all_parameters(self) -> tuple[Parameter, ...]:
        """Those of the query, the pages' included."""
        return (*self.parameters, LIMIT, CURSOR) if self.is_list else self.parameters


def routes_of(serving: Serving, operations: Sequence[Operation]) -> list[BaseRoute]:
    """The routes of some operations; each needs the right to read."""
    return [
        route(
            serving, "GET", operation.path, _endpoint(operation), right="read", operation=operation
        )
        for operation in operations
    ]


def _endpoint(one: Operation) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        asked = Asked(parsed(request, one.all_parameters), request.path_params, request)
        found = await one.endpoint(asked)
        if isinstance(found, Response):
            return found
        if isinstance(found, Listing):
            return await answer_list(request, found, asked["limit"], asked["cursor"])
        return answer(request, found)

    return respond
