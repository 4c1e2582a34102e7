"""`khive-persist://` links: the addresses of records, which the dashboard opens."""

from typing import Final, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlsplit

from khive_persist.errors import InvalidQueryError

SCHEME: Final = "khive-persist"
_HOST: Final = "session"
_HINT: Final = f"as {SCHEME}://{_HOST}/ID?record=RECORD"


class RecordLink(NamedTuple):
    """The address of a record in its session.

    Attributes:
        session_id: The id of the session.
        record_id: The id of the record; an empty string for the session as a whole.
    """

    session_id: str
    record_id: str

    def __str__(self) -> str:
        """Return the text of the link."""
        path = f"{SCHEME}://{_HOST}/{quote(self.session_id, safe='')}"
        return f"{path}?record={quote(self.record_id, safe='')}" if self.record_id else path


def is_link(text: str) -> bool:
    """Return whether a text has the scheme of a link."""
    return text.partition(":")[0].lower() == SCHEME


def parse_link(text: str) -> RecordLink:
    """Parse the text of a link.

    Raises:
        InvalidQueryError: It is none, or names no session.
    """
    wrong = InvalidQueryError(f"{text[:200]!r} is no link to a record", hint=_HINT)
    try:
        parts = urlsplit(text.strip())
        id = unquote(parts.path.removeprefix("/"), errors="strict")
        records = parse_qs(parts.query, errors="strict", max_num_fields=10).get("record", [""])
    except ValueError as error:
        raise wrong from error
    if (parts.scheme, parts.netloc) != (SCHEME, _HOST) or not id or "/" in parts.path[1:]:
        raise wrong
    if len(records) > 1 or "\0" in id + records[0]:
        raise wrong
    return RecordLink(id, records[0])
