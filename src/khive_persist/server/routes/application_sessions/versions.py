"""The version of a session, as HTTP says it: an entity tag."""

import re
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from khive_persist.errors import ConflictError
from khive_persist.server.http.errors import Refused, json_response
from khive_persist.server.request.auth import Endpoint

_TAG: Final = re.compile(r'"(\d{1,15})"\Z', re.ASCII)


def tag(version: int) -> str:
    """A version as an ETag."""
    return f'"{version}"'


def expected(request: Request, fields: dict[str, Any]) -> int | None:
    """The version that a change is made for, None where it names none; taken out of the body.

    Raises:
        Refused: 400; it is no version, or the header and the body say two.
    """
    given = fields.pop("version", None)
    if given is not None and (isinstance(given, bool) or not isinstance(given, int)):
        raise Refused(400, "bad_version", "version is a whole number")
    headers = request.headers.getlist("if-match")
    if not headers:
        return given
    found = _TAG.match(headers[0].strip())
    if found is None or len(headers) > 1:
        raise Refused(400, "bad_version", "If-Match is one version", hint='as in If-Match: "3"')
    if given not in (None, int(found[1])):
        raise Refused(400, "bad_version", "If-Match and the body say two versions")
    return int(found[1])


def saying_version(endpoint: Endpoint) -> Endpoint:
    """An endpoint whose conflicts are answered with the version that there is now."""

    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ConflictError as error:
            told = {
                "code": error.code,
                "message": str(error.args[0]),
                "hint": error.hint,
                "version": error.version,
            }
            headers = {} if error.version is None else {"etag": tag(error.version)}
            return json_response({"error": told}, 409, headers)

    return respond
