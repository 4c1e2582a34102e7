"""`TeamRow`: one version of a record of a team, with how it counts in the sums of its hour."""

from datetime import datetime
from typing import Final, NamedTuple


class Counts(NamedTuple):
    """The part of a record in sums. A record that was purged has none.

    Attributes:
        records: 1; 0 for a record that was purged.
        events: 1 for an event.
        calls: The tool calls that end with it.
        failures: Those of them that failed or were refused.
        messages: 1 for a message.
        input_tokens: Tokens of prompts that came from no cache.
        cache_read_tokens: Those that came from one.
        cache_write_tokens: Those that were put into one.
        output_tokens: Tokens of answers.
        picodollars: The cost of what has a price, in 10⁻¹² USD.
        priced: 1 for a message that has a price.
        unpriced: 1 for a message that used something and has none.
    """

    records: int = 0
    events: int = 0
    calls: int = 0
    failures: int = 0
    messages: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    picodollars: int = 0
    priced: int = 0
    unpriced: int = 0


NOTHING: Final = Counts()


class TeamRow(NamedTuple):
    """One version of a record, as the team's tables take it.

    Attributes:
        session: Its session; empty for none.
        machine: The machine that sent it.
        project: Its project.
        purpose: The name of its purpose.
        id: Its id, which is its own among those of its machine, project and purpose.
        person: The name of its sender.
        version: The number of this version; the largest counts.
        form: Its form: metrics, redacted or all.
        created_at: Its time; None where that cannot be read.
        document: The text to query its content by; None once it was purged.
        content: Its JSON; None once it was purged.
        hour: The hour that it counts in.
        tool: The client that it counts for.
        model: The model that it counts for; empty where it names none.
        counts: Its part in the sums.
    """

    session: str
    machine: str
    project: str
    purpose: str
    id: str
    person: str
    version: int
    form: str
    created_at: datetime | None
    document: str | None
    content: str | None
    hour: datetime
    tool: str
    model: str
    counts: Counts

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """The key of the record, the same in all its versions."""
        return self[:5]

    @property
    def sums_key(self) -> tuple[str, datetime, str, str, str, str, str]:
        """The key of the sums that it counts in."""
        return (
            self.session, self.hour, self.person, self.machine, self.project, self.tool, self.model
        )  # fmt: skip
