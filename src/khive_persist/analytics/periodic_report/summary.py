"""A summary of the figures of a period, in plain words that claim no more than they do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_NAMES: Final = {"day": "the day before", "week": "the week before"}
# A change of less than this share is called none.
_SAME: Final = 0.005
_WORDS: Final = 3


def sentences(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences of a report, the most important first.

    They tell counts and sums, which are what was recorded; whether sessions differ by more than
    chance is for the comparison, and is told only where it found so.
    """
    kind = str(report["period"])
    totals = {total["name"]: total for total in report["totals"]}
    if report["is_empty"]:
        yield f"Nothing was recorded in {report['name']}."
        if report["last_record"] is not None:
            yield f"The last record before its end is of {report['last_record'][:16]} UTC."
        return
    if report["is_running"]:
        yield f"This {kind} is not over: its figures are those so far, set against a whole {kind}."
    previous = _NAMES[kind]
    yield _sessions(totals["sessions"], previous)
    yield _cost(totals, previous)
    yield _failures(totals, previous)
    if report["tools"] and report["tools"][0]["total_ms"]:
        tool = report["tools"][0]
        yield (
            f"Most time went to {_tool(tool)}: {_seconds(tool['total_ms'])} in {tool['calls']:,}"
            f" {_plural('call', tool['calls'])}, half of them within {_seconds(tool['median_ms'])}."
        )
    if report["failures"]:
        tool = report["failures"][0]
        yield (
            f"{_tool(tool)} failed most often: {tool['count']:,} {_plural('time', tool['count'])},"
            f" against {tool['before']:,} {previous}."
        )
    judged = {word: totals[f"verdict_{word}"]["now"] for word in ("success", "partial", "failure")}
    if any(judged.values()):
        yield (
            f"Of {sum(judged.values()):,} judged {_plural('session', sum(judged.values()))},"
            f" {judged['success']:,} succeeded, {judged['partial']:,} did in part and"
            f" {judged['failure']:,} failed."
        )
    if totals["application_sessions"]["now"]:
        yield _applications(totals, report["outcomes"], previous)
    if (calibration := report["calibration"]) is not None and calibration["brier"] is not None:
        score, judged_plans = calibration["brier"]["score"], calibration["judged"]
        yield (
            f"The confidence of {judged_plans:,} judged {_plural('plan', judged_plans)} has a"
            f" Brier score of {score:.3f}; who always says 0.5 has 0.25."
        )
    for metric in report["comparison"] or ():
        if metric["finding"] == "difference":
            yield metric["sentence"]


def _sessions(total: Mapping[str, Any], previous: str) -> str:
    count, change = total["now"], total["change"]
    by = ""
    if change is not None and abs(change) >= _SAME:
        by = f" ({'up' if change > 0 else 'down'} {abs(change):.0%})"
    return f"{count:,} {_plural('session', count)}, against {total['before']:,} {previous}{by}."


def _applications(
    totals: Mapping[str, Any], outcomes: Sequence[Mapping[str, Any]], previous: str
) -> str:
    sessions, completed = totals["application_sessions"], totals["completed"]["now"]
    count = sessions["now"]
    words = ", ".join(
        f"{outcome['now']:,} {outcome['outcome']}"
        for outcome in outcomes[:_WORDS]
        if outcome["now"]
    )
    return (
        f"{count:,} application {_plural('session', count)} began, against {sessions['before']:,}"
        f" {previous}; {completed:,} of them {'is' if completed == 1 else 'are'} completed"
        f"{f' (outcomes: {words})' if words else ''}."
    )


def _cost(totals: Mapping[str, Any], previous: str) -> str:
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
        return f"Cost was {dollars}; of {previous} none is known.{without}"
    change = cost["change"]
    if change is None:
        return f"Cost was {dollars}, against {_dollars(cost['before'])} {previous}.{without}"
    if abs(change) < _SAME:
        return f"Cost was {dollars}, as much as {previous}.{without}"
    verb = "rose" if change > 0 else "fell"
    return f"Cost {verb} by {abs(change):.0%} to {dollars}.{without}"


def _failures(totals: Mapping[str, Any], previous: str) -> str:
    calls, failed, rate = (totals[name] for name in ("tool_calls", "failures", "failure_rate"))
    if not calls["now"]:
        return "No tool call ended in it."
    text = (
        f"{failed['now']:,} of {calls['now']:,} tool {_plural('call', calls['now'])} failed"
        f" ({rate['now']:.1%})"
    )
    if rate["before"] is None:
        return f"{text}; {previous} had none."
    return f"{text}, against {rate['before']:.1%} {previous}."


def _tool(tool: Mapping[str, Any]) -> str:
    return f"{tool['tool_name'] or 'What has no name'} of {tool['tool']}"


def _dollars(value: float) -> str:
    return f"{value:,.2f} USD" if value >= 0.01 or not value else f"{value:.2g} USD"


def _seconds(milliseconds: float) -> str:
    seconds = milliseconds / 1_000
    if seconds < 1:
        return f"{milliseconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:,.1f} min"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
