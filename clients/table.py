"""The page of the matrix, from the results."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from clients.client import Client
from clients.results import ClientResult, Result
from clients.scenarios import Scenario
from khive_persist.tools import TOOLS

_HEAD: Final = """# Clients

Which programs were run, at which version, on which day, and what came of it. `make clients`
installs them from npm, runs each against a model on loopback, and writes this page. khive-persist
is there as a wheel of the platform leaves it: its hooks are the compiled one.

- **Sent** is counted by a second recorder beside our hook, which has nothing of ours: it writes its
  stdin to a file. **Stored** is the client's rows, **equal** those whose payload is the text sent.
- **Tokens told** is counted by the model, **tokens stored** is the sum of the stored messages, each
  class of tokens compared by itself. What a client asks besides, as for a title, it may keep to
  itself: that is no difference.
- A client that does not wait for its hooks may stop the second recorder before it has read an
  event: that was sent, and may be stored or not.
- Ctrl-C can end a client between our hook and the second recorder: more may be stored then.
- A cost is by list price; where the model has none, there is none.
- A scenario holds where the client came to its end, its tool did what it was asked to, each event
  sent is stored once, with an equal payload and as this client's, and the tokens are equal.
"""
_NOTHING: Final = "–"


def page(
    clients: Sequence[Client],
    not_run: Mapping[str, str],
    scenarios: Sequence[Scenario],
    results: Mapping[str, ClientResult],
) -> str:
    """Return the page as Markdown.

    A client without a result says `not run` and why, one of which something failed says so.
    """
    parts = [_HEAD, *_sums(clients, not_run, scenarios, results), "", "## Scenarios", ""]
    for client in clients:
        result = results.get(client.name)
        if result is not None and result.results:
            parts += _scenarios(client, scenarios, result)
    parts += ["## What cannot be captured", ""]
    for client in clients:
        unseen = _unseen(client, results.get(client.name, ClientResult()))
        parts.append(f"- **{client.title}**: {' '.join([*client.untold, unseen]).strip()}")
    parts.append("")
    return "\n".join(parts)


def _sums(
    clients: Iterable[Client],
    not_run: Mapping[str, str],
    scenarios: Sequence[Scenario],
    results: Mapping[str, ClientResult],
) -> list[str]:
    lines = [
        "| client | version | day | scenarios | sent | stored | equal | as another's | messages"
        " | tokens told | tokens stored | cost |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for client in clients:
        result = results.get(client.name, ClientResult(reason="it was never asked for"))
        if not result.results:
            lines.append(_empty(client.title, result.version, result.day, result.reason))
            continue
        ran = [one for one in result.results.values() if one.status != "not run"]
        held = sum(one.status == "done" for one in ran)
        counted = [one for one in ran if one.is_counted]
        sums = [
            sum(one.events.sent for one in counted),
            sum(one.events.stored for one in counted),
            sum(one.events.equal for one in counted),
            sum(one.events.foreign for one in counted),
            sum(one.messages for one in counted),
            sum(sum(one.tokens.told) for one in counted),
            sum(sum(one.tokens.stored) for one in counted),
        ]
        hold = (
            f"{held} of {len(ran)} hold" if held == len(ran) else f"**{held} of {len(ran)} hold**"
        )
        if missing := sum(one.name not in result.results for one in scenarios):
            hold += f", {missing} not asked for"
        words = [client.title, result.version, result.day, hold,
                 *(f"{number:,}" for number in sums), _cost(counted)]  # fmt: skip
        lines.append(f"| {' | '.join(words)} |")
    lines += [_empty(title, "", "", reason) for title, reason in not_run.items()]
    return lines


def _empty(title: str, version: str, day: str, reason: str) -> str:
    words = [title, version or "**not run**", day, reason, *[""] * 8]
    return f"| {' | '.join(words)} |"


def _cost(results: Iterable[Result]) -> str:
    costs = [one.cost for one in results if one.cost is not None]
    reported = [one.reported_cost for one in results if one.reported_cost is not None]
    text = f"{sum(costs):.4f} USD" if costs else "no price"
    return f"{text}; its own total {sum(reported):.4f} USD" if reported else text


def _scenarios(client: Client, scenarios: Sequence[Scenario], result: ClientResult) -> list[str]:
    lines = [
        f"### {client.title} {result.version}", "",
        *([_cell(result.reason) + ".", ""] if result.reason else []),
        "| scenario | | sent | stored | equal | messages | tokens told | besides | stored |",
        "|---|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for scenario in scenarios:
        one = result.results.get(scenario.name)
        if one is None:
            lines.append(f"| {scenario.title} | not asked for |{' |' * 7}")
            continue
        verdict = {"done": "holds", "failed": f"**failed**: {one.reason}"}.get(
            one.status, f"not run: {one.reason}"
        )
        numbers = [_NOTHING] * 7
        if one.is_counted:
            numbers = [
                f"{number:,}"
                for number in (
                    one.events.sent, one.events.stored, one.events.equal, one.messages,
                    sum(one.tokens.told), sum(one.tokens.aside), sum(one.tokens.stored),
                )
            ]  # fmt: skip
        lines.append(f"| {scenario.title} | {_cell(verdict)} | {' | '.join(numbers)} |")
    return [*lines, ""]


def _unseen(client: Client, result: ClientResult) -> str:
    """Say which events our hook is registered for, and no scenario brought."""
    counted = [one for one in result.results.values() if one.events.sent]
    if not all(one.names for one in counted):
        return ""
    sent = {name for one in counted for name in one.names}
    events = [hook.event for hook in TOOLS[client.name].registration.hooks if not hook.model]
    unseen = [event for event in events if event not in sent]
    if not sent or not unseen:
        return ""
    return f"Registered, and not sent in these scenarios: {', '.join(unseen)}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
