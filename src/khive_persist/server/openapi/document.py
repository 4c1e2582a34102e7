"""The OpenAPI document of an app's routes, and its own route."""

import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from khive_persist.server.http.errors import Error
from khive_persist.server.openapi.answers import answer_schema
from khive_persist.server.openapi.writes import WRITES, WriteDescription
from khive_persist.server.request.access import Access
from khive_persist.server.request.auth import GuardedEndpoint, route
from khive_persist.server.routes.read.listing import MEDIA_TYPES
from khive_persist.server.routes.read.operations import Operation
from khive_persist.server.routes.read.parameters import (
    MAX_CHARACTERS,
    MAX_VALUES,
    TIME,
    Parameter,
    parsed,
)
from khive_persist.server.routes.read.responses import answer
from khive_persist.server.routes.read.schemas import BOOLEAN, TEXT, Schema, array, maybe, record

_ERROR: Final = "#/components/schemas/Error"
_ALWAYS: Final = {
    "400": "the request, or a parameter of its query, is not as it may be",
    "403": "this page, or this token, may not",
    "414": "the path is too long",
    "421": "the server is not known by that name",
    "431": "the headers are too large",
    "500": "a mistake of the server's",
    "503": "busy, or a file cannot be used just now: ask again",
}
_WITH_TOKEN: Final = {"401": "a token is needed"}
_WITH_BODY: Final = {
    "408": "the body came too slowly",
    "413": "the body is too large",
    "415": "the body is not of a type that is taken",
    "422": "what the body holds cannot be stored",
    "501": "the body is coded in a way that is not known",
}
_TYPES: Final[dict[str, Schema]] = {
    "text": {"type": "string", "maxLength": MAX_CHARACTERS},
    "word": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": BOOLEAN,
    # An age, a date, or a time in ISO form.
    "time": {
        "type": "string",
        "pattern": f"^({TIME})$",
        "examples": ["2h", "2026-11-01", "2026-11-01T10:00:00+01:00"],
    },
}
_CONVERTOR: Final = re.compile(r"\{(\w+)(?::\w+)?\}")


def routes(access: Access, every: Sequence[BaseRoute]) -> list[BaseRoute]:
    """Return the route that describes every route, itself included; looked at when it is asked."""

    async def document(request: Request) -> Response:
        parsed(request, ())
        return answer(request, openapi(access, every))

    return [route(access, "GET", "/v1/openapi.json", document, right="read")]


def openapi(access: Access, every: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the document of some routes; one that nothing is told of is left out."""
    paths: dict[str, dict[str, Any]] = {}
    components: dict[str, Schema] = {}
    answer_schema(Error, components)
    for each in every:
        if not isinstance(each, Route) or not isinstance(each.app, GuardedEndpoint):
            continue
        for method in sorted((each.methods or set()) - {"HEAD"}):
            described = _described(each, method, each.app, components)
            if described is not None:
                path = _merged_path(_CONVERTOR.sub(r"{\1}", each.path), paths)
                paths.setdefault(path, {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "khive-persist",
            "version": version("khive-persist"),
            "description": "Sessions of AI coding tools, recorded on this machine.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "login": {"type": "apiKey", "in": "cookie", "name": access.cookie},
            },
        },
    }


def _merged_path(path: str, paths: Mapping[str, Any]) -> str:
    # Two paths that differ in the name of a parameter alone are one to OpenAPI.
    plain = _CONVERTOR.sub("{}", path)
    return next((existing for existing in paths if _CONVERTOR.sub("{}", existing) == plain), path)


def _described(
    route: Route, method: str, guarded: GuardedEndpoint, components: dict[str, Schema]
) -> dict[str, Any] | None:
    operation = guarded.operation
    if isinstance(operation, Operation):
        described = _reading(operation, components)
    elif (write := WRITES.get((method, route.path))) is not None:
        described = _writing(write, guarded, components)
    else:
        return None
    described["operationId"] = _operation_id(method, route.path)
    described["tags"] = ["reading" if method == "GET" else "writing"]
    described["security"] = [{"token": []}, {"login": []}] if guarded.right is not None else []
    refusals = {**_ALWAYS, **(_WITH_TOKEN if guarded.right is not None else {})}
    described["responses"] |= {
        status: _refusal(reason)
        for status, reason in sorted({**refusals, **described.pop("refusals")}.items())
    }
    return described


def _reading(operation: Operation, components: dict[str, Schema]) -> dict[str, Any]:
    schema = answer_schema(operation.answer, components)
    content: dict[str, Any] = {operation.media_type: {"schema": schema}}
    if operation.is_list:
        # With `columns` an item has these alone; a file is the array of all items.
        items = array({"anyOf": [schema, {"type": "object"}]})
        page = record(items=items, next=maybe(TEXT))
        content = {"application/json": {"schema": {"anyOf": [page, items]}}}
        content |= {MEDIA_TYPES[form]: {"schema": TEXT} for form in ("csv", "jsonl")}
    elif operation.media_type != "application/json":
        content = {operation.media_type: {"schema": TEXT}}
    names = _CONVERTOR.findall(operation.path)
    parameters = [_in_path(name, {**TEXT, "description": operation.path_words.get(name, "")})
                  for name in names]  # fmt: skip
    parameters += [_in_query(parameter) for parameter in operation.all_parameters]
    responses: dict[str, Any] = {"200": {"description": operation.summary, "content": content}}
    if operation.media_type in ("application/json", "text/html"):
        responses["304"] = {"description": "The client has it already: see If-None-Match."}
    refusals = {"404": "there is none"} if names else {}
    return {
        **({"deprecated": True} if operation.is_deprecated else {}),
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
        # Outcomes, accounts and stories read several files, and config.toml.
        "refusals": refusals
        | {"501": "a package that this needs is not installed"}
        | dict(operation.refusals),
    }


def _writing(
    write: WriteDescription, guarded: GuardedEndpoint, components: dict[str, Schema]
) -> dict[str, Any]:
    answers = {}
    for status, answer_type in write.answers.items():
        answer: dict[str, Any] = {
            "description": "Not changed." if status == "304" else write.summary
        }
        if status != "304" and write.media_type:
            schema = {}
            if answer_type is not None:
                schema["schema"] = answer_schema(answer_type, components)
            answer["content"] = {write.media_type: schema}
        answers[status] = answer
    parameters = [_in_path(name, schema) for name, schema in write.path.items()]
    parameters += [_in_query(parameter) for parameter in write.parameters]
    parameters += [
        {"name": name, "in": "header", "description": about, "schema": {"type": "string"}}
        for name, about in write.headers.items()
    ]
    described: dict[str, Any] = {
        "summary": write.summary,
        "parameters": parameters,
        "responses": answers,
        "refusals": dict(write.refusals),
    }
    if write.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {
                name: {"schema": write.body if "json" in name and "nd" not in name else TEXT}
                for name in sorted(guarded.types)
            },
        }
        described["refusals"] = {**_WITH_BODY, **write.refusals}
    return described


def _in_query(parameter: Parameter) -> dict[str, Any]:
    schema = dict(_TYPES[parameter.kind])
    if parameter.words:
        schema["enum"] = [*parameter.words]
    for name in ("minimum", "maximum", "default"):
        if (value := getattr(parameter, name)) is not None:
            schema[name] = value
    if parameter.is_many:
        schema = {"type": "array", "items": schema, "maxItems": MAX_VALUES}
    return {"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema}


def _in_path(name: str, schema: Schema) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _refusal(reason: str) -> dict[str, Any]:
    return {"description": reason, "content": {"application/json": {"schema": {"$ref": _ERROR}}}}


def _operation_id(method: str, path: str) -> str:
    return "_".join([method.lower(), *re.findall(r"\w+", path.replace(":path", ""))])
