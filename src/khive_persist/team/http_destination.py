"""`HttpDestination`: a team's khive-persist server, by `POST …/v1/team/records`.

The body is a record a line, as `TeamRecord.to_json` gives it, packed with gzip; the answer is
`{"stored": NUMBER}`: how many of them the team has now, in this version or a later one.
"""

import gzip
from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from khive_persist import web_requests
from khive_persist.errors import DestinationError, InvalidSettingsError
from khive_persist.store import codec
from khive_persist.team.team_record import TeamRecord
from khive_persist.threads import run_abandonable
from khive_persist.web_requests import RequestFailedError

ROUTE: Final = "/v1/team/records"
MEDIA_TYPE: Final = "application/x-ndjson"
_SECONDS: Final = 60.0
_SILENCE_SECONDS: Final = 20.0
_MOST_ANSWER_BYTES: Final = 4_096
_HINTS: Final = {
    401: "put a token into the variable that team.token_variable names",
    403: "the token may not send records: ask who runs the server",
    404: "team.url is the address of no team's server",
}


class HttpDestination:
    """A team's server. Its redirects are not followed: what is sent is for the one that was meant.

    A batch is tried three times where that may help; the time of all is a minute.
    """

    def __init__(self, url: str, token: str = "") -> None:
        """Raise InvalidSettingsError where the token would leave the machine in clear text."""
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        if token and parts.scheme == "http" and not web_requests.is_loopback(self._host):
            raise InvalidSettingsError(
                f"the token of team.token_variable would go to {self._host} in clear text",
                hint="write https:// in team.url",
            )
        self._address = url.rstrip("/").removesuffix(ROUTE) + ROUTE
        self._token = token

    async def send(self, records: Sequence[TeamRecord]) -> None:
        """Send records; see `Destination.send`."""
        count = await run_abandonable(partial(self._posted, body_of(records)))
        if count != len(records):
            raise DestinationError(
                f"{self._host} has not said that it stored {len(records)} records",
                hint="team.url is the address of no team's server, or of one that refuses them",
            )

    async def close(self) -> None:
        """Do nothing: each request has its own connection."""

    def _posted(self, body: bytes) -> int | None:
        """Return how many records the server has stored; None where it says something else."""
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Encoding": "gzip",
            "Accept": "application/json",
        }
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            answer = web_requests.post_json(
                self._address,
                gzip.compress(body, mtime=0),
                headers,
                seconds=_SECONDS,
                request_seconds=_SILENCE_SECONDS,
                most_bytes=_MOST_ANSWER_BYTES,
            )
        except RequestFailedError as error:
            hint = _HINTS.get(error.status or 0, "what was not sent waits, and goes the next time")
            raise DestinationError(f"{self._host} {error}", hint=hint) from error
        try:
            document = codec.load(answer)
        except ValueError:
            return None
        count = document.get("stored") if isinstance(document, dict) else None
        return count if type(count) is int else None


def body_of(records: Sequence[TeamRecord]) -> bytes:
    """Return the body of a batch before it is packed: a record a line."""
    return "".join(f"{record.to_json()}\n" for record in records).encode()
