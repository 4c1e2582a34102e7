"""`Destination`: a team's store, as who sends to it sees it; `destination_of` chooses it by URL."""

from collections.abc import Sequence
from typing import Final, Protocol
from urllib.parse import urlsplit

from khive_persist.errors import InvalidSettingsError, extra
from khive_persist.team.team_record import TeamRecord

MOST_RECORDS: Final = 500
MOST_BYTES: Final = 1_000_000


class Destination(Protocol):
    """Stores the records of a team."""

    async def send(self, records: Sequence[TeamRecord]) -> None:
        """Send records, in order; all are stored durably on return: committed, or on a quorum.

        Of a record that is there in the same or a later version nothing changes.

        Args:
            records: At most `MOST_RECORDS`.

        Raises:
            DestinationError: They are not known to be stored; all may be sent again.
        """

    async def close(self) -> None:
        """Close the connections, if there are any."""


def destination_of(url: str, token: str = "") -> Destination:
    """Return the destination at a URL; nothing is opened before the first `send`.

    Args:
        url: `https://…` or `http://…` of a khive-persist server, `postgresql://…` of a team's
            database, or `nats://…` of a JetStream cluster: several servers with commas.
        token: The bearer token of a server, the password of a database or the token of NATS; empty
            for none.

    Raises:
        InvalidSettingsError: The URL has another scheme, or the token would go to another machine
            in clear text.
        MissingExtraError: What the scheme needs is not installed.
    """
    match urlsplit(url).scheme:
        case "https" | "http":
            from khive_persist.team.http_destination import HttpDestination

            return HttpDestination(url, token)
        case "postgresql" | "postgres":
            with extra("postgres", "PostgreSQL"):
                from khive_persist.team.postgres_destination import PostgresDestination

            return PostgresDestination(url, token)
        case "nats" | "tls":
            with extra("nats", "NATS"):
                from khive_persist.team.jetstream_destination import JetStreamDestination

            return JetStreamDestination(url, token)
    raise InvalidSettingsError(
        "team.url is no address of a team's store",
        hint="write https://…, postgresql://… or nats://…",
    )
