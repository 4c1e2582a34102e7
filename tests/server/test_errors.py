"""What goes wrong, as an answer: every class of error has its status."""

import json
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from khive_persist import errors
from khive_persist.errors import KhiveError
from khive_persist.server.http.errors import STATUSES, ErrorMiddleware, HTTPError, error_response
from khive_persist.server.http.limits import Limits


def subclasses(of: type[KhiveError]) -> list[type[KhiveError]]:
    return [one for direct in of.__subclasses__() for one in (direct, *subclasses(direct))]


ALL: list[type[KhiveError]] = [KhiveError, *subclasses(KhiveError)]


def test_every_error_has_its_own_line() -> None:
    assert set(STATUSES) == set(ALL)
    assert all(400 <= status < 600 for status in STATUSES.values())


@pytest.mark.parametrize("kind", ALL)
def test_an_error_is_answered_with_its_code_message_and_hint(kind: type[KhiveError]) -> None:
    answer = error_response(kind("it\nbroke", hint="mend\tit"))
    assert answer.status_code == STATUSES[kind]
    assert answer.media_type == "application/json"
    body = json.loads(bytes(answer.body))
    assert body == {"error": {"code": kind.code, "message": "it broke", "hint": "mend it"}}
    assert ("retry-after" in answer.headers) is (answer.status_code == 503)


@pytest.mark.parametrize("kind", [one for one in ALL if issubclass(one, errors.StoreError)])
def test_what_a_store_cannot_do_may_be_tried_again(kind: type[KhiveError]) -> None:
    assert STATUSES[kind] == 503


def test_what_is_no_error_of_ours_says_nothing_of_itself() -> None:
    answer = error_response(RuntimeError("secret payload"))
    assert answer.status_code == 500
    assert b"secret" not in bytes(answer.body)


async def test_the_log_has_the_project_of_a_mistake_and_not_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def mistake(*_: Any) -> None:
        raise RuntimeError("secret payload")

    answered: list[Any] = []

    async def send(message: Any) -> None:
        answered.append(message)

    async def nothing() -> Any:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "GET", "headers": []}
    await ErrorMiddleware(mistake, Limits())(scope, nothing, send)
    assert answered[0]["status"] == 500
    (record,) = caplog.records
    said = str(vars(record) | {"exc_info": record.exc_info})
    assert "RuntimeError" in said
    assert "test_errors.py:" in said
    assert "secret" not in said


def test_errors_of_http_are_answered_alike() -> None:
    for error, status in (
        (HTTPError(413, "too_large", "no"), 413),
        (HTTPException(404), 404),
        (HTTPException(405, headers={"allow": "GET"}), 405),
    ):
        answer = error_response(error)
        assert answer.status_code == status
        assert set(json.loads(bytes(answer.body))["error"]) == {"code", "message", "hint"}
    assert answer.headers["allow"] == "GET"
