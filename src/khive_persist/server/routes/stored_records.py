"""The answer to a push to a team's server."""

from typing import NamedTuple


class StoredRecords(NamedTuple):
    """The number of records that the team has now, in this version or a later one, or set apart."""

    stored: int
