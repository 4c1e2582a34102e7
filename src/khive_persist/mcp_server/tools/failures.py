"""`recent_failures`: the calls that failed lately; `fixes`: what mended an error before."""

from typing import Annotated

from pydantic import Field

from khive_persist import clock
from khive_persist.errors import InvalidQueryError
from khive_persist.mcp_server.answers import Answer, Item, Later
from khive_persist.mcp_server.envelope import Envelope, joined, later
from khive_persist.mcp_server.quoting import line
from khive_persist.opening import reading
from khive_persist.project import Project
from khive_persist.sessions import failures as failed_calls
from khive_persist.sessions.contradictions import Claim, contradictions
from khive_persist.sessions.fixes import Fix, FixStep, search_fixes

MAX_LIMIT = 100


class FailureItem(Item):
    """A call that failed or was refused."""

    tool_name: str


class FailuresAnswer(Answer[FailureItem]):
    """The calls that failed, the latest first."""


class FixItem(Item):
    """A way in which an error was mended, as text: the failed call, the steps, the success."""

    tool_name: str
    likeness: Annotated[float, Field(description="1 for the same error, else from 0.7.")]
    mended_at: str
    mended_record_id: str
    attempts: Annotated[int, Field(description="Calls of its kind between that failed, too.")]
    steps: int


class FixesAnswer(Answer[FixItem]):
    """The ways in which an error was mended, the best first; `matched` counts all of them."""

    failed_with_it: Annotated[int, Field(description="Calls that failed with the error.")] = 0
    sessions_with_it: int = 0


async def recent_failures(
    project: Project, since: str = "7d", limit: int = 10, session: str = ""
) -> FailuresAnswer:
    """Return the calls that failed or were refused, the latest first.

    Args:
        project: The project.
        since: An age as `2h`, or a date or time in ISO form.
        limit: At most so many, to 100.
        session: The session's whole id; an empty string for all.

    Raises:
        InvalidQueryError: The time or the limit is wrong.
    """
    try:
        instant = clock.to_text(clock.moment(since[:100]))
    except ValueError as error:
        raise InvalidQueryError("since is no time", hint=clock.MOMENTS) from error
    limit = checked_limit(limit)
    async with reading(project, *failed_calls.PURPOSES) as reader:
        of_session = session or None
        matched = await failed_calls.count_failures(reader, since=instant, session_id=of_session)
        failures = await failed_calls.failures(
            reader, since=instant, limit=limit, session_id=of_session
        )
    claims = [Claim(failure.purpose, failure.record_id) for failure in failures]
    contradicted = await contradictions(project, claims)
    envelope = Envelope(
        project, lambda _count: f"recent_failures(limit={MAX_LIMIT}), or an earlier since"
    )
    for rank, failure in enumerate(failures, 1):
        item = FailureItem(
            rank=rank,
            source=envelope.source(failure.purpose, failure.record_id, failure.session_id),
            role="tool",
            time=failure.at,
            client=line(failure.client),
            agent_id=line(failure.agent_id),
            tool_name=line(failure.tool_name),
            contradicted_by=later(contradicted, failure.purpose, failure.record_id),
            **envelope.quoted(joined((failure.subject, failure.error)), 2_000),
        )
        if not envelope.add(item):
            break
    return envelope.answer(FailuresAnswer, matched)


async def fixes(project: Project, error: str, limit: int = 5) -> FixesAnswer:
    """Return what mended an error in earlier sessions, as `search_fixes` finds it.

    Raises:
        InvalidQueryError: The error has no words, or the limit is wrong.
    """
    result = await search_fixes(error, limit=checked_limit(limit), project=project)
    envelope = Envelope(project, lambda _count: f"fixes(limit={MAX_LIMIT})")
    for rank, fix in enumerate(result.fixes, 1):
        steps = [text for step in fix.steps for text in _step_lines(step)]
        if fix.omitted:
            steps.append(f"… {fix.omitted} more steps")
        text = joined(
            (f"failed: {fix.failed_call}", fix.error, *steps, f"worked: {fix.mended_call}")
        )
        item = FixItem(
            rank=rank,
            source=envelope.source(fix.purpose, fix.record_id, fix.session_id),
            role="tool",
            time=fix.failed_at,
            client=line(fix.client),
            agent_id=line(fix.agent_id),
            tool_name=line(fix.tool_name),
            likeness=fix.likeness,
            mended_at=fix.mended_at,
            mended_record_id=line(fix.mended_record_id),
            attempts=fix.attempts,
            steps=len(fix.steps) + fix.omitted,
            contradicted_by=_returned(fix),
            **envelope.quoted(text, 8_000),
        )
        if not envelope.add(item):
            break
    note = "" if result.is_whole else "only the 30 sessions most alike were looked at"
    if result.matched and not result.mended:
        note = "the error is recorded, and no later call of its kind succeeded in its session"
    answer = envelope.answer(FixesAnswer, result.mended, note)
    answer.failed_with_it, answer.sessions_with_it = result.matched, result.sessions
    return answer


def _returned(fix: Fix) -> list[Later]:
    """Return the latest call that had the error again, as what contradicts that it was mended."""
    if fix.recurred_at is None:
        return []
    return [
        Later(
            kind="failed again", time=fix.recurred_at, session_id=line(fix.session_id),
            record_id=line(fix.recurred_record_id),
        )
    ]  # fmt: skip


def checked_limit(limit: int) -> int:
    """Return a limit that is in range.

    Raises:
        InvalidQueryError: It is not.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidQueryError(f"limit is from 1 to {MAX_LIMIT}")
    return limit


def _step_lines(step: FixStep) -> list[str]:
    failed = " (failed)" if step.failed else ""
    return [f"then {step.kind}{failed}: {step.title}", *(f"    {text}" for text in step.lines)]
