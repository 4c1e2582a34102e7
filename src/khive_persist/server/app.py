"""The app of one server: its route groups, and what stands before them."""

from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp

from khive_persist.server import dashboard, events, health, hooks, login, records
from khive_persist.server.errors import Errors
from khive_persist.server.headers import Headers
from khive_persist.server.hosts import Hosts, allowed_hosts
from khive_persist.server.limits import Heads
from khive_persist.server.metrics import Observed
from khive_persist.server.openapi import routes as openapi
from khive_persist.server.reading import routes as reading
from khive_persist.server.serving import Serving
from khive_persist.server.sessions import application_sessions


def routes(serving: Serving) -> list[BaseRoute]:
    """Every route. Of two that fit a path, the first answers: `records` comes last.

    They are tried one after the other, so those that are asked most often come first.
    """
    found: list[BaseRoute] = []
    found += [
        *hooks.routes(serving),
        *events.routes(serving),
        *health.routes(serving),
        *login.routes(serving),
        *application_sessions.routes(serving),
        *dashboard.routes(serving),
        *openapi.routes(serving, found),
        *reading.routes(serving),
        *records.routes(serving),
    ]
    return found


def build_app(serving: Serving) -> ASGIApp:
    """The app. Nothing of it is answered but through all that stands before the router."""

    def hosts() -> frozenset[str]:
        return allowed_hosts(serving.address, serving.live.settings.server_allowed_hosts)

    def origins() -> frozenset[str]:
        return frozenset(map(str.lower, serving.live.settings.server_allowed_origins))

    app: ASGIApp = Router(routes(serving), redirect_slashes=False)
    app = Errors(Heads(app, serving.limits))
    return Observed(Headers(Hosts(app, hosts, origins)), serving.metrics)
