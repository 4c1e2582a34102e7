"""The version of a session, as HTTP says it: an entity tag."""

import re
from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from khive_persist.errors import ConflictError
from khive_persist.server.http.errors import HTTPError, json_response
from khive_persist.server.request.auth import Endpoint

_TAG: Final = re.compile(r'"(\d{1,15})"\Z', re.ASCII)


def tag(version: int) -> str:
    """Return a version as an ETag."""
    return f'"{version}"'


def expected(headers: Sequence[str], fields: dict[str, Any]) -> int | None:
    """Return the version that a change is made for, None where it names none; taken out of the
    body.

    Args:
        headers: The values of If-Match.
        fields: The body.

    Raises:
        HTTPError: 400; it is no version, or the header and the body say two.
    """
    version = fields.pop("version", None)
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise HTTPError(400, "bad_version", "version is a whole number")
    if not headers:
        return version
    match = _TAG.match(headers[0].strip())
    if match is None or len(headers) > 1:
        raise HTTPError(400, "bad_version", "If-Match is one version", hint='as in If-Match: "3"')
    if version not in (None, int(match[1])):
        raise HTTPError(400, "bad_version", "If-Match and the body say two versions")
    return int(match[1])


def saying_version(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose conflicts are answered with the version that there is now."""

    async def respond(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ConflictError as error:
            problem = {
                "code": error.code,
                "message": str(error.args[0]),
                "hint": error.hint,
                "version": error.version,
            }
            headers = {} if error.version is None else {"etag": tag(error.version)}
            return json_response({"error": problem}, 409, headers)

    return respond
