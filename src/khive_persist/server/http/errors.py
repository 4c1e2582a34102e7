"""Errors as answers: one JSON document, one status a cause."""

import logging
import re
import traceback
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, NotRequired

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import TypedDict

from khive_persist import errors
from khive_persist.errors import ConflictError, KhiveError
from khive_persist.server.http.headers import version_tag
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.tokens import PREFIX
from khive_persist.server.http.unread_body import ActiveDiscards, UnreadBody
from khive_persist.store import codec

RETRY_AFTER_SECONDS: Final = 2
# A refusal that leaves some of the request unread ends the connection.
CLOSE: Final = {"connection": "close"}
_TOKEN: Final = re.compile(rf"{PREFIX}[\w-]{{20,}}", re.ASCII)

# Each class has its own line: a test holds it.
STATUSES: Final[dict[type[KhiveError], int]] = {
    KhiveError: 500,
    errors.InvalidRecordError: 422,
    errors.InvalidQueryError: 400,
    errors.InvalidSettingsError: 500,
    errors.InvalidFileError: 422,
    errors.MissingExtraError: 501,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.CompletedError: 409,
    errors.VersionError: 409,
    errors.ProjectError: 503,
    errors.UntrustedError: 503,
    errors.CaptureError: 503,
    errors.EmissionError: 502,
    errors.DestinationError: 502,
    errors.MirrorError: 503,
    errors.BackupError: 500,
    errors.BackupDamagedError: 500,
    errors.StoreError: 503,
    errors.AmbiguousStoreError: 503,
    errors.StoreBusyError: 503,
    errors.StoreClosedError: 503,
    errors.StoreDamagedError: 503,
    errors.StoreFullError: 503,
    errors.StoreNewerError: 503,
    errors.StoreUnavailableError: 503,
}

_HTTP_CODES: Final = {404: "no_route", 405: "method_not_allowed"}
_log = logging.getLogger("khive_persist.server")


class Problem(TypedDict):
    """The cause of an error.

    Attributes:
        code: A stable word for programs.
        hint: The remedy, or nothing.
        version: The version of the record, where that is the cause.
    """

    code: str
    message: str
    hint: str
    version: NotRequired[int]


class Error(TypedDict):
    """The answer where there is no other."""

    error: Problem


class HTTPError(Exception):
    """The error of a request that is answered with an HTTP status of its own.

    Attributes:
        status: The status of the answer.
        code: A stable lower-case word for programs.
        message: One line.
        hint: The remedy, one line, or an empty string.
        headers: Further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how to make the error again in another process, with all of its fields."""
        make = partial(HTTPError, hint=self.hint, headers=self.headers)
        return make, (self.status, self.code, self.message)


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON answer."""
    return Response(
        codec.dump_lossy(value).encode(), status, headers, media_type="application/json"
    )


def error_response(error: Exception) -> Response:
    """Return the answer to a request that raised this. What is no error of ours says nothing of
    itself.
    """
    headers: dict[str, str] = {}
    if isinstance(error, HTTPError):
        status, code, message, hint = error.status, error.code, error.message, error.hint
        headers = error.headers
    elif isinstance(error, KhiveError):
        status, code = STATUSES[type(error)], error.code
        message, hint = str(error.args[0]), error.hint
    elif isinstance(error, HTTPException):
        status, code = error.status_code, _HTTP_CODES.get(error.status_code, "http")
        message, hint, headers = error.detail, "", dict(error.headers or {})
    else:
        status, code, message, hint = 500, "internal", "a mistake of ours", "see the server's log"
    if status == 503:
        headers.setdefault("retry-after", str(RETRY_AFTER_SECONDS))
    problem: Problem = {"code": code, "message": _line(message), "hint": _line(hint)}
    if isinstance(error, ConflictError) and error.version is not None:
        problem["version"] = error.version
        headers["etag"] = version_tag(error.version)
    return json_response(Error(error=problem), status, headers)


def _line(text: str) -> str:
    """Return a text on one line. A token that was sent as something else is not sent back."""
    return _TOKEN.sub("[token]", " ".join(text.split()))


class ErrorMiddleware:
    """The middleware that answers in place of an app that raised."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._throwing = ActiveDiscards()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # With it, the router raises instead of answering in plain text.
        scope["app"] = self
        unread = UnreadBody(scope, receive, self._limits, self._throwing)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, unread.receive, sending)
        except ClientDisconnect:
            # Nobody is left to be answered.
            return
        except Exception as error:  # Whoever asked must get an answer, and the log one line.
            if not isinstance(error, HTTPError | KhiveError | HTTPException):
                _log.error("internal_error", extra={"fields": where(error)})
            if started:
                # Too late to say so. uvicorn closes the connection, which tells an answer that ends
                # early from a whole one; to raise would put the error's text into its log.
                return
            response = error_response(error)
            if response.headers.get("connection") == CLOSE["connection"]:
                send = unread.before_end(send)
            await response(scope, receive, send)


def where(error: BaseException) -> dict[str, str]:
    """Return the class and the line of code of an error; its text may quote a payload."""
    frames = traceback.extract_tb(error.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return {"error": type(error).__name__, "at": at}
