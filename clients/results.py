"""What came of each run, as it is written down and read again."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from clients.comparison import Events, Tokens
from clients.wire import Usage

Status = Literal["done", "failed", "not run"]
RECORDED: Final = Path(__file__).with_name("results.json")


@dataclass
class Result:
    """What came of one scenario.

    Attributes:
        status: `failed` where something was not as it has to be, `not run` where the client or the
            system has no way to it.
        reason: Why it failed or was not run.
        is_counted: Whether events and tokens were compared.
        events: The events of the run.
        tokens: The tokens of the run.
        messages: How many messages are stored.
        cost: The cost of them by list price, in USD; None where the model has no price.
        names: The names of the events that were sent.
        reported_cost: The client's own total, in USD; None where it tells none.
    """

    status: Status
    reason: str = ""
    is_counted: bool = False
    events: Events = field(default_factory=Events)
    tokens: Tokens = field(default_factory=Tokens)
    messages: int = 0
    cost: float | None = None
    names: list[str] = field(default_factory=list)
    reported_cost: float | None = None


@dataclass
class ClientResult:
    """What came of one client.

    Attributes:
        version: The version that was run; an empty string where none could be.
        day: The day of the run, in UTC.
        reason: Why it was not run, or no newer version was.
        results: What came of its scenarios, by their names.
    """

    version: str = ""
    day: str = ""
    reason: str = ""
    results: dict[str, Result] = field(default_factory=dict)


def read(path: Path) -> dict[str, ClientResult]:
    """Return the results in a file, by the clients' names; none where there is no file."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text("utf-8"))
    return {name: _client(fields) for name, fields in document.items()}


def write(path: Path, results: Mapping[str, ClientResult]) -> None:
    """Write results to a file."""
    document = {name: dataclasses.asdict(result) for name, result in results.items()}
    for client in document.values():
        for one in client["results"].values():
            one["events"] = one["events"]._asdict()
            one["tokens"] = one["tokens"]._asdict()
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _client(fields: dict[str, Any]) -> ClientResult:
    results = {
        name: Result(**{
            **one, "events": Events(**one["events"]), "tokens": _tokens(one["tokens"]),
        })
        for name, one in fields["results"].items()
    }  # fmt: skip
    return ClientResult(**{**fields, "results": results})


def _tokens(fields: dict[str, list[int]]) -> Tokens:
    return Tokens(**{name: Usage(*numbers) for name, numbers in fields.items()})
