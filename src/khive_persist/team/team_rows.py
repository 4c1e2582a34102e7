"""Rows of a team's tables, made of its records: each with how it counts in the sums of its hour."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from khive_persist import clock
from khive_persist.errors import InvalidRecordError
from khive_persist.models.purposes import CONVERSATIONS, EVENT_FILES
from khive_persist.prices import PICODOLLARS, PriceTable
from khive_persist.sessions import definitions
from khive_persist.sessions.definitions import Spent
from khive_persist.store import codec
from khive_persist.store.postgres.documents import document, no_document
from khive_persist.store.postgres.team_row import NOTHING, Counts, TeamRow
from khive_persist.team.team_record import TeamRecord

_CLIENTS: Final = {purpose.name: client for client, purpose in EVENT_FILES.items()}
_LARGEST: Final = 2**63
# A key of an index has at most 2,704 bytes: https://www.postgresql.org/docs/current/btree.html
_MOST_CHARACTERS: Final = 200


class TeamRows:
    """Makes rows of records, by the list prices of their day."""

    def __init__(self) -> None:
        """Read the prices."""
        self._prices = PriceTable()

    def row(self, record: TeamRecord) -> TeamRow:
        """Return the row of a record.

        Raises:
            InvalidRecordError: It has what the tables cannot hold.
        """
        _check(record)
        at = clock.from_column(record.created_at)
        content, queried = _read(record.content)
        fields = content if isinstance(content, dict) else {}
        tool, counts = self._counted(record, fields, at)
        if max(counts) >= _LARGEST:
            raise InvalidRecordError("a number of it is beyond 64 bits")
        return TeamRow(
            record.session,
            record.machine,
            record.project,
            record.purpose,
            record.id,
            record.person,
            record.version,
            record.form,
            at,
            queried,
            record.content,
            (at or clock.unreadable()).replace(minute=0, second=0, microsecond=0),
            tool,
            _name(fields, "model"),
            counts,
        )

    def _counted(
        self, record: TeamRecord, content: Mapping[str, Any], at: datetime | None
    ) -> tuple[str, Counts]:
        """Return the tool that a record counts for, and how it counts."""
        if record.content is None:
            return "", NOTHING
        client = _CLIENTS.get(record.purpose)
        if client is not None:
            is_failed = definitions.is_failed_call(content)
            counts = Counts(
                records=1,
                events=1,
                calls=int(definitions.is_call_end(content)),
                failures=int(is_failed),
            )
            return _short(definitions.tool_of(content, client)), counts
        if record.purpose != CONVERSATIONS.name:
            return _name(content, "tool"), Counts(records=1)
        spent = _as_sent(
            record, content, definitions.spent(content, at or clock.unreadable(), self._prices)
        )
        counts = Counts(
            records=1,
            calls=definitions.unreported(content, "calls"),
            failures=definitions.unreported(content, "failures"),
            messages=int(definitions.is_message(content)),
            input_tokens=spent.input,
            cache_read_tokens=spent.cache_read,
            cache_write_tokens=spent.cache_write,
            output_tokens=spent.output,
            picodollars=spent.picodollars,
            priced=spent.priced,
            unpriced=spent.unpriced,
        )
        return _name(content, "tool"), counts


def _read(content: str | None) -> tuple[Any, str | None]:
    """Return the value of a content, and the text to query it by."""
    if content is None:
        return None, None
    try:
        return codec.load(content), document(content)
    except ValueError:
        return None, no_document(content)


def _as_sent(record: TeamRecord, content: Mapping[str, Any], spent: Spent) -> Spent:
    """Return what a message cost as its sender knows it, whose prices may be his own."""
    if record.form != "metrics":
        return spent
    cost = content.get("cost_usd")
    if isinstance(cost, int | float) and 0 <= cost < _LARGEST:
        return spent._replace(picodollars=round(cost * PICODOLLARS), priced=1, unpriced=0)
    return spent._replace(picodollars=0, priced=0, unpriced=spent.priced + spent.unpriced)


def _check(record: TeamRecord) -> None:
    text = "".join((*record[:6], record.form, record.content or ""))
    if "\0" in text:
        raise InvalidRecordError("it has a NUL, which PostgreSQL cannot hold")
    if not -_LARGEST <= record.version < _LARGEST:
        raise InvalidRecordError(f"its version is beyond 64 bits: {record.version}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRecordError("it has half a surrogate pair, which no UTF-8 spells") from error


def _name(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    return _short(value) if isinstance(value, str) else ""


def _short(name: str) -> str:
    """Return what a name is grouped by: what no key can hold is replaced or cut."""
    text = name.encode("utf-8", "replace").decode().replace("\0", "�")
    return text[:_MOST_CHARACTERS]
