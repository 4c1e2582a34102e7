"""Changes of a session: its start, an update, its completion.

What comes in a large body is changed in the process that reads those (`preparer.py`).
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import anyio

from khive_persist.errors import InvalidRecordError
from khive_persist.models.application_session import ApplicationSession
from khive_persist.opening import open_store
from khive_persist.server.http.errors import HTTPError
from khive_persist.server.request.body import load_json
from khive_persist.server.routes.application_sessions.cache import Entry, entry_of
from khive_persist.server.store_pool import BUSY_SECONDS
from khive_persist.store.application_sessions import ApplicationSessionStore

_TAG: Final = re.compile(r'"(\d{1,15})"\Z', re.ASCII)


class Change(NamedTuple):
    """A change of a session, but for its body.

    Attributes:
        kind: The kind of the change.
        id: The id in the path; empty where there is none.
        if_match: The values of If-Match.
    """

    kind: Literal["start", "update", "complete"]
    id: str = ""
    if_match: tuple[str, ...] = ()


class Changed(NamedTuple):
    """A session that was changed, and whether it is new."""

    entry: Entry
    is_new: bool


async def apply(
    change: Change, fields: dict[str, Any], store: ApplicationSessionStore
) -> tuple[ApplicationSession, bool]:
    """Return the session with a change, and whether it is new.

    Raises:
        HTTPError: 400 or 428; the version is wrong or missing.
        KhiveError: As the store does.
    """
    fields = dict(fields)
    if change.kind == "start":
        _check_addressable(fields.get("session_id"))
        return await store.start(fields)
    version = _expected_version(change.if_match, fields)
    if change.kind == "complete":
        return await store.complete(change.id, fields, version), False
    if version is None:
        raise HTTPError(
            428,
            "version_needed",
            "an update says which version it is for",
            hint='send If-Match: "3", or version in the body',
        )
    return await store.update(change.id, fields, version), False


def apply_here(body: bytes, change: Change, root: Path) -> Changed:
    """Return the session with a change, stored by this process.

    Raises:
        HTTPError: As for `apply`, or the body is no JSON.
        KhiveError: As the store does.
    """
    return anyio.run(partial(_apply_here, fields_of(body), change, root))


async def _apply_here(fields: dict[str, Any], change: Change, root: Path) -> Changed:
    opening = open_store(ApplicationSession, dir=root, busy_timeout_seconds=BUSY_SECONDS)
    async with opening as store:
        session, is_new = await apply(change, fields, store)
    # The server reads it anew: none of it is sent back but what the answer has.
    return Changed(entry_of(session)._replace(body=b""), is_new)


def fields_of(body: bytes) -> dict[str, Any]:
    """Return the fields that a body has.

    Raises:
        HTTPError: 400; it is no JSON.
        InvalidRecordError: It is no object.
    """
    document = load_json(body)
    if not isinstance(document, dict):
        raise InvalidRecordError("an object with the session's fields is needed")
    return document


def _expected_version(headers: Sequence[str], fields: dict[str, Any]) -> int | None:
    """Return the version that a change is made for, by If-Match or its body; None for none.

    It is taken out of the body.

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


def _check_addressable(id: object) -> None:
    if not isinstance(id, str) or id == "":
        # What else it may be, the record says.
        return
    if id in (".", "..") or not id.isprintable():
        raise InvalidRecordError("a session_id stands in a path: it has no control codes")
