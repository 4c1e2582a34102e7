"""Times in a query: the OpenAPI document and the server agree on each."""

import re
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.requests import Request

from khive_persist.project import Project
from khive_persist.server.app import routes
from khive_persist.server.context import close_context, open_context
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.http.limits import Limits
from khive_persist.server.openapi.document import openapi
from khive_persist.server.routes.read.parameters import SINCE, TIME, parsed

PATTERN = re.compile(f"^({TIME})$")


def is_taken(text: str) -> bool:
    query = urlencode({"since": text}).encode()
    try:
        parsed(Request({"type": "http", "query_string": query}), (SINCE,))
    except HTTPError:
        return False
    return True


async def test_the_document_says_it(project: Project) -> None:
    serving = await open_context(project, "127.0.0.1", Limits())
    try:
        document: Any = openapi(serving.access, routes(serving))
    finally:
        await close_context(serving)
    parameters = document["paths"]["/v1/events"]["get"]["parameters"]
    patterns = [one["schema"].get("pattern") for one in parameters]
    assert patterns.count(PATTERN.pattern) == 2


def agree(text: str, *, is_time: bool) -> None:
    described = PATTERN.search(text) is not None
    assert (described, is_taken(text)) == (is_time, is_time), text


def test_every_day_is_a_day_and_no_other_is() -> None:
    days = {date(2000, 1, 1) + timedelta(days=n) for n in range(366 * 5)}
    days |= {date(2026, 1, 1) + timedelta(days=n) for n in range(365)}
    texts = {day.isoformat() for day in days}
    texts |= {"1999-12-31", "2096-02-29", "2099-12-31", "1904-02-29"}
    for year in ("2000", "2003", "2004", "2026"):
        for month in range(14):
            for day in range(33):
                text = f"{year}-{month:02}-{day:02}"
                agree(text, is_time=text in texts)
    for text in sorted(texts):
        agree(text, is_time=True)
    for text in ("1900-02-29", "2100-02-29"):
        agree(text, is_time=False)


@pytest.mark.parametrize(
    "text",
    [
        "2h", "9999w", "0s", "2026-11-29T10:00", "2026-11-29T23:59:59.123456Z",
        "2026-11-29 23:59:59.123456", "2026-11-30T00:00:00.1+14:00", "2026-11-30T00:00-12:00",
        "2026-12-31T00:00+05:45",
    ],
)  # fmt: skip
def test_these_are_times(text: str) -> None:
    agree(text, is_time=True)


@pytest.mark.parametrize(
    "text",
    [
        "", "now", "2y", "99999h", "20261129", "2026-W48-7", "2026-333", "2026-11-29T10",
        "2026-11-29T24:00", "2026-11-29T10:60", "2026-11-29_10:00", "2026-11-29T10:00:60",
        "2026-11-29T10:00+15:00", "2026-11-29T10:00,5", "2026-11-29T10:00:00.1234567",
        "2026-11-29T10:00+01:00:30", "2026-1-1", " 2026-11-29", "-2h", "１h",
    ],
)  # fmt: skip
def test_these_are_none(text: str) -> None:
    agree(text, is_time=False)
