"""What the figures of a period say, in plain words that claim no more than they do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_NAMES: Final = {"day": "the day before", "week": "the week before"}
# A change of less than this share is called none.
_SAME: Final = 0.005
_WORDS: Final = 3


def sentences(report: Mapping[str, Any]) -> list[str]:
    """The sentences of a report, the most important first.

    They tell counts and sums, which are what was recorded; whether sessions differ by more than
    chance is for the comparison, and is told only where it found so.
    """
    return list(_sentences(report))


def _sentences(report: Mapping[str, Any]) -> Iterator[str]:
    kind = str(report["period"])
    totals = {one["name"]: one for one in report["totals"]}
    if report["is_empty"]:
        yield f"Nothing was recorded in {report['name']}."
        if report["last_record"] is not None:
            yield f"The last record before its end is of {report['last_record'][:16]} UTC."
        return
    if report["is_running"]:
        yield f"This {kind} is not over: its figures are those so far, set against a whole {kind}."
    before = _NAMES[kind]
    yield _counted("sessions", totals["sessions"], before)
    yield _cost(totals, before)
    yield _failures(totals, before)
    if report["tools"] and report["tools"][0]["total_ms"]:
        one = report["tools"][0]
        yield (
            f"Most time went to {_tool(one)}: {_seconds(one['total_ms'])} in {one['calls']:,}"
            f" {_plural('call', one['calls'])}, half of them within {_seconds(one['median_ms'])}."
        )
    if report["failures"]:
        one = report["failures"][0]
        yield (
            f"{_tool(one)} failed most often: {one['count']:,} {_plural('time', one['count'])},"
            f" against {one['before']:,} {before}."
        )
    judged = {word: totals[f"verdict_{word}"]["now"] for word in ("success", "partial", "failure")}
    if any(judged.values()):
        yield (
            f"Of {sum(judged.values()):,} judged {_plural('session', sum(judged.values()))},"
            f" {judged['success']:,} succeeded, {judged['partial']:,} did in part and"
            f" {judged['failure']:,} failed."
        )
    if totals["application_sessions"]["now"]:
        yield _applications(totals, report["outcomes"], before)
    if (found := report["calibration"]) is not None and found["brier"] is not None:
        score = found["brier"]["score"]
        yield (
            f"The confidence of {found['judged']:,} judged {_plural('plan', found['judged'])} has a"
            f" Brier score of {score:.3f}; who always says 0.5 has 0.25."
        )
    for metric in report["comparison"] or ():
        if metric["finding"] == "difference":
            yield metric["sentence"]


def _counted(name: str, one: Mapping[str, Any], before: str) -> str:
    now, other = one["now"], one["before"]
    noun = name[:-1] if now == 1 else name
    return f"{now:,} {noun}, against {other:,} {before}{_by(one)}."


def _applications(
    totals: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]], before: str
) -> str:
    one, completed = totals["application_sessions"], totals["completed"]["now"]
    count = one["now"]
    words = ", ".join(
        f"{outcome['now']:,} {outcome['outcome']}"
        for outcome in outcomes[:_WORDS]
        if outcome["now"]
    )
    return (
        f"{count:,} application {_plural('session', count)} began, against {one['before']:,}"
        f" {before}; {completed:,} of them {'is' if completed == 1 else 'are'} completed"
        f"{f' (outcomes: {words})' if words else ''}."
    )


def _cost(totals: Mapping[str, Any], before: str) -> str:
    cost, unpriced = totals["cost"], totals["unpriced_messages"]["now"]
    without = (
        f" {unpriced:,} {_plural('message', unpriced)} of models without a price"
        f" {'is' if unpriced == 1 else 'are'} not in it."
        if unpriced
        else ""
    )
    if cost["now"] is None:
        if unpriced:
            return f"What it cost is not known: no message has a price.{without[:-1]}."
        return "No message that used tokens was recorded, so there is no cost."
    dollars = _dollars(cost["now"])
    if cost["before"] is None:
        return f"Cost was {dollars}; of {before} none is known.{without}"
    change = cost["change"]
    if change is None:
        return f"Cost was {dollars}, against {_dollars(cost['before'])} {before}.{without}"
    if abs(change) < _SAME:
        return f"Cost was {dollars}, as much as {before}.{without}"
    verb = "rose" if change > 0 else "fell"
    return f"Cost {verb} by {abs(change):.0%} to {dollars}.{without}"


def _failures(totals: Mapping[str, Any], before: str) -> str:
    calls, failed, rate = (totals[name] for name in ("tool_calls", "failures", "failure_rate"))
    if not calls["now"]:
        return "No tool call ended in it."
    said = (
        f"{failed['now']:,} of {calls['now']:,} tool {_plural('call', calls['now'])} failed"
        f" ({rate['now']:.1%})"
    )
    if rate["before"] is None:
        return f"{said}; {before} had none."
    return f"{said}, against {rate['before']:.1%} {before}."


def _by(one: Mapping[str, Any]) -> str:
    change = one["change"]
    if change is None or abs(change) < _SAME:
        return ""
    return f" ({'up' if change > 0 else 'down'} {abs(change):.0%})"


def _tool(one: Mapping[str, Any]) -> str:
    return f"{one['tool_name'] or 'What has no name'} of {one['tool']}"


def _dollars(value: float) -> str:
    return f"{value:,.2f} USD" if value >= 0.01 or not value else f"{value:.2g} USD"


def _seconds(milliseconds: float) -> str:
    seconds = milliseconds / 1_000
    if seconds < 1:
        return f"{milliseconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
