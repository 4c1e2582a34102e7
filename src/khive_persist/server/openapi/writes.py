"""The descriptions of the routes outside `routes/read/`: bodies and answers, by method and path."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from khive_persist.analytics.experiments.assign import AssignmentAnswer
from khive_persist.models.experiment import MOST_VARIANTS, NAME, ExperimentContent
from khive_persist.models.outcome import VERDICTS
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.server.routes.application_sessions.cache import SessionHead
from khive_persist.server.routes.batches import BatchResults
from khive_persist.server.routes.health import ServerStatus
from khive_persist.server.routes.login import LoginLink, TokenRights
from khive_persist.server.routes.read.parameters import Parameter
from khive_persist.server.routes.read.schemas import (
    ANYTHING,
    TEXT,
    Schema,
    array,
    maybe,
    record,
)
from khive_persist.server.routes.records import CLASSES
from khive_persist.server.routes.stored_records import StoredRecords
from khive_persist.server.routes.verdicts import PATH as VERDICTS_PATH
from khive_persist.server.routes.verdicts import RecordedVerdict


class WriteDescription(NamedTuple):
    """The description of one route.

    Attributes:
        summary: The summary, one line.
        body: The schema of its body, or None where it takes none.
        answers: The type of an answer, by status; None for one that is no JSON.
        media_type: The media type of those answers; empty where they have no body.
        path: The schemas of the parameters in its path.
        parameters: The parameters of its query.
        headers: The headers of its request, by name, each with its purpose.
        refusals: The refusals of its own, by status.
    """

    summary: str
    body: Schema | None = None
    answers: Mapping[str, Any] = {"200": Any}
    media_type: str = "application/json"
    path: Mapping[str, Schema] = {}
    parameters: tuple[Parameter, ...] = ()
    headers: Mapping[str, str] = {}
    refusals: Mapping[str, str] = {}


_OBJECT: Final[Schema] = {"type": "object"}
_ID: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": 200}
_TIME: Final[Schema] = {
    "type": ["string", "number", "null"],
    "description": "ISO, or epoch seconds",
}
_EVENT: Final = record(
    "tool", "payload",
    id=_ID, tool={"enum": [*HOOK_EVENTS]}, payload=ANYTHING, created_at=_TIME,
)  # fmt: skip
_RECORD: Final = record(
    "content",
    id=_ID,
    content=ANYTHING,
    node_metadata=_OBJECT,
    created_at=TEXT,
    embedding=maybe(array({"type": "number"})),
)
_FIELDS: Final[Schema] = {"type": "object", "description": "Any fields of the application's own."}
_IF_MATCH: Final = {"If-Match": "The version that it is for, as an entity tag."}
_CONFLICT: Final = {"409": "the session has another version, or is completed", "404": "no session"}
_NAME: Final[Schema] = {"type": "string", "pattern": NAME}
_VARIANT: Final[Schema] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": _NAME,
        "weight": {"type": "number", "exclusiveMinimum": 0, "default": 1},
    },
}
_NEW_EXPERIMENT: Final = record(
    "name", "variants",
    name=_NAME,
    variants={
        **array(_VARIANT),
        "minItems": 2,
        "maxItems": MOST_VARIANTS,
        "description": "Each of another name, the one to compare the others with first.",
    },
    note=maybe(TEXT),
)  # fmt: skip
_ASSIGN: Final = record(
    "session_id",
    session_id=_ID,
    variant={**maybe(_NAME), "description": "Without it, it is drawn."},
)
_EXPERIMENTS: Final = "/v1/experiments"
_APPLICATION_SESSIONS: Final = "/v1/application_sessions"
_ONE: Final = _APPLICATION_SESSIONS + "/{id}"


def _some(schema: Schema) -> Schema:
    """Return one, or a batch; what is wrong with one of a batch is said in its result."""
    return {"anyOf": [schema, array(schema)]}


def _appended(noun: str) -> WriteDescription:
    return WriteDescription(
        f"Add {noun} to a session: one, or a batch.",
        _some(_FIELDS),
        {"200": BatchResults},
        path={"id": _ID},
        refusals=_CONFLICT,
    )


WRITES: Final[dict[tuple[str, str], WriteDescription]] = {
    ("POST", "/v1/team/records"): WriteDescription(
        "Records that a machine pushes to a team's server, a JSON array a line. They are durable"
        " when this is answered.",
        TEXT,
        {"200": StoredRecords},
        refusals={"403": "a record is of another person than the token is for"},
    ),
    ("POST", "/hooks/{tool}"): WriteDescription(
        "One event, as an AI tool's HTTP hook sends it. It is durable when this is answered.",
        ANYTHING,
        media_type="",
        path={"tool": {"enum": [*HOOK_EVENTS]}},
        refusals={"404": "no such tool"},
    ),
    ("POST", "/v1/events"): WriteDescription(
        "Events with ids of their sender's: sent again, each is stored once.",
        _some(_EVENT),
        {"200": BatchResults},
    ),
    ("POST", "/v1/{kind}"): WriteDescription(
        f"Records of a kind: {', '.join(CLASSES)}, your own.",
        _some(_RECORD),
        {"200": BatchResults},
        path={"kind": {"enum": [*CLASSES]}},
        parameters=(
            Parameter(
                "update",
                "boolean",
                "Whether one that is there is replaced, which takes the right `admin`.",
                default=False,
            ),
        ),
        refusals={"404": "no such kind"},
    ),
    ("POST", _APPLICATION_SESSIONS): WriteDescription(
        "Begin a session of an application.",
        _FIELDS,
        {"200": SessionHead, "201": SessionHead},
        refusals={"409": "another session has this id"},
    ),
    ("PATCH", _ONE): WriteDescription(
        "Change fields of a session that has still the version it is changed for.",
        _FIELDS,
        {"200": SessionHead},
        path={"id": _ID},
        headers=_IF_MATCH,
        refusals={**_CONFLICT, "428": "no version was said"},
    ),
    ("POST", f"{_ONE}/complete"): WriteDescription(
        "Complete a session: nothing more is added to it.",
        _FIELDS,
        {"200": SessionHead},
        path={"id": _ID},
        headers=_IF_MATCH,
        refusals=_CONFLICT,
    ),
    ("POST", f"{_ONE}/messages"): _appended("messages"),
    ("POST", f"{_ONE}/measurements"): _appended("measurements"),
    ("POST", f"{_ONE}/scores"): _appended("scores"),
    ("POST", _EXPERIMENTS): WriteDescription(
        "Create an experiment, which never changes; the same again is no other.",
        _NEW_EXPERIMENT,
        {"200": ExperimentContent, "201": ExperimentContent},
        refusals={"409": "another experiment has this name"},
    ),
    ("POST", f"{_EXPERIMENTS}/{{name}}/assignments"): WriteDescription(
        "Assign a variant to a session, before its work begins; again, it keeps what it has.",
        _ASSIGN,
        {"200": AssignmentAnswer, "201": AssignmentAnswer},
        path={"name": _NAME},
        refusals={"404": "no such experiment", "409": "the session has another variant"},
    ),
    ("POST", VERDICTS_PATH): WriteDescription(
        "Record a person's verdict on a session, as `outcome set` does.",
        record("verdict", verdict={"enum": [*VERDICTS]}, note=maybe(TEXT)),
        {"201": RecordedVerdict},
        path={"id": _ID},
        refusals={"404": "no session, or several that begin so"},
    ),
    ("POST", "/login"): WriteDescription(
        "Change a token for a cookie, for a browser.",
        record(token=TEXT),
        {"200": TokenRights},
        refusals={"401": "the token is not known"},
    ),
    ("POST", "/login/link"): WriteDescription(
        "Make a link that logs a browser in, once, within a minute.",
        ANYTHING,
        {"200": LoginLink},
    ),
    ("GET", "/login/{code}"): WriteDescription(
        "Follow such a link: a cookie, and the way to the dashboard.",
        None,
        {"303": None},
        media_type="",
        path={"code": TEXT},
        refusals={"401": "it was used, or is too old"},
    ),
    ("POST", "/logout"): WriteDescription("Forget the cookie.", ANYTHING, {"200": dict[str, Any]}),
    ("GET", "/v1/whoami"): WriteDescription("Whose the token is.", None, {"200": TokenRights}),
    ("GET", "/healthz"): WriteDescription("Whether the server runs.", None, {"200": ServerStatus}),
    ("GET", "/readyz"): WriteDescription(
        "Whether it takes and stores events.", None, {"200": ServerStatus}
    ),
    ("GET", "/metrics"): WriteDescription(
        "What is counted, for Prometheus.", None, {"200": None}, media_type="text/plain"
    ),
    ("GET", "/"): WriteDescription(
        "The dashboard.", None, {"200": None, "304": None}, media_type="text/html"
    ),
    ("GET", "/assets/{name:path}"): WriteDescription(
        "A file of the dashboard.",
        None,
        {"200": None, "304": None},
        media_type="*/*",
        path={"name": TEXT},
        refusals={"404": "no such file"},
    ),
    ("GET", "/v1/openapi.json"): WriteDescription(
        "This document.", None, {"200": dict[str, Any], "304": None}
    ),
}
