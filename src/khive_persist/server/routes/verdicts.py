"""`POST /v1/sessions/{id}/verdicts`: a person's verdict on a session."""

from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from khive_persist.clock import InstantText, to_text
from khive_persist.errors import InvalidRecordError
from khive_persist.models.outcome import Outcome, Verdict
from khive_persist.models.purposes import OUTCOMES
from khive_persist.project import Project
from khive_persist.server.http.errors import json_response
from khive_persist.server.reader_pool import ReaderPool
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import route
from khive_persist.server.request.body import BodyReader
from khive_persist.server.routes.application_sessions.retries import retried
from khive_persist.server.routes.metrics import Metrics
from khive_persist.server.routes.read.sessions import find_session
from khive_persist.server.store_pool import Stores
from khive_persist.sessions.verdicts import outcome_of

PATH: Final = "/v1/sessions/{id}/verdicts"


class RecordedVerdict(NamedTuple):
    """A verdict, as it was recorded. It counts until a person gives a later one."""

    id: str
    session_id: str
    verdict: Verdict
    note: str | None
    created_at: InstantText


def routes(
    access: Access,
    bodies: BodyReader,
    project: Project,
    readers: ReaderPool,
    stores: Stores,
    metrics: Metrics,
) -> list[BaseRoute]:
    """Return the route of this group."""

    async def record(request: Request) -> Response:
        document = await bodies.read_json(request)
        if not isinstance(document, dict) or document.keys() - {"verdict", "note"}:
            raise InvalidRecordError("an object with verdict and, perhaps, note is needed")
        session = await find_session(project, readers, request.path_params["id"])
        note = None if document.get("note") == "" else document.get("note")
        outcome = outcome_of(session.session_id, document.get("verdict"), note=note)
        store = await stores.of(Outcome)
        saved: Outcome = await retried(lambda: store.save(outcome))
        metrics.recorded(OUTCOMES, "new")
        content, created_at = saved.content, to_text(saved.created_at)
        answer = RecordedVerdict(
            saved.id, session.session_id, content["verdict"], content.get("note"), created_at
        )
        return json_response(answer, 201)

    return [route(access, "POST", PATH, record, right="ingest")]
