"""Find what mended an error: a later call of the same kind, that succeeded, and the steps to it."""

import os.path
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal, NamedTuple

import anyio.to_thread

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.clock import InstantText
from khive_persist.errors import InvalidQueryError
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import checked_count
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.project_search import find_project
from khive_persist.sessions import failures as failed_calls
from khive_persist.sessions.call_kind import CallKind, command_of, is_same, kind_of
from khive_persist.sessions.error_text import Signature
from khive_persist.sessions.failures import Failure
from khive_persist.sessions.read import Session, SessionReader, client_of, event_purposes
from khive_persist.sessions.timeline.build import Timeline, build_with_calls
from khive_persist.sessions.timeline.calls import EventCall
from khive_persist.sessions.timeline.entry import Entry
from khive_persist.sessions.timeline.labels import text_of
from khive_persist.sessions.timeline.tool_call import diff
from khive_persist.sessions.titles import read_titles

DEFAULT_LIMIT: Final = 5
MAX_LIMIT: Final = 100
MAX_CHARACTERS: Final = 100_000
# A word of an error is in many; of several, one that has none of the longest is another error.
_WORDS: Final = 4
_MOST_SESSIONS: Final = 30
_MOST_STEPS: Final = 12
_STEP_LINES: Final = 20
_STEP_CHARACTERS: Final = 2_000
_TITLE_CHARACTERS: Final = 500
_ERROR_CHARACTERS: Final = 1_000
_END_CHARACTERS: Final = 20_000
_READS: Final = frozenset({"read", "view", "glob", "grep", "ls", "read_file", "readfile", "search"})

StepKind = Literal["edit", "command", "call", "message", "prompt"]


class FixStep(NamedTuple):
    """A step between an error and the call that succeeded.

    Attributes:
        at: Its time.
        kind: Its kind: an edit, a command in a shell, another call, what the agent or the user
            said.
        title: Its summary, on one line, of at most 500 characters.
        lines: Of an edit the beginning of its diff, of a text what follows the title: 20 lines.
        failed: Whether the call failed.
        record_id: The first record that tells of it.
    """

    at: InstantText
    kind: StepKind
    title: str
    lines: list[str]
    failed: bool
    record_id: str


class Fix(NamedTuple):
    """An error, the later call of its kind that succeeded, and what was between.

    Attributes:
        likeness: The likeness of the error to the one that was asked for: 1 for the same.
        rank: The rank: higher is better.
        session_id: The session.
        title: The session's title; an empty string for none.
        client: The AI tool.
        agent_id: The subagent whose call failed; an empty string for the session's own agent.
        tool_name: The tool that was called.
        failed_at: The time of the last call that had the error before the success.
        failed_call: That call, on one line.
        error: The beginning of the lines that name the error.
        record_id: The first record that tells of that call.
        purpose: The name of its purpose.
        mended_at: The time of the call that succeeded.
        mended_call: That call, on one line.
        mended_record_id: The first record that tells of it.
        steps: The steps between the two, in order; edits before others, where they are too many.
        omitted: The number of steps that are left out.
        attempts: The number of calls of its kind between that failed, too.
        recurred: The number of later calls in the session that had the error again: it was not
            mended for good where there are any.
        recurred_at: The time of the last of these; None for none.
        recurred_record_id: The first record that tells of it; an empty string for none.
    """

    likeness: float
    rank: float
    session_id: str
    title: str
    client: str
    agent_id: str
    tool_name: str
    failed_at: InstantText
    failed_call: str
    error: str
    record_id: str
    purpose: str
    mended_at: InstantText
    mended_call: str
    mended_record_id: str
    steps: list[FixStep]
    omitted: int
    attempts: int
    recurred: int
    recurred_at: InstantText | None
    recurred_record_id: str


class FixResult(NamedTuple):
    """The answer of a search for what mended an error.

    Attributes:
        error: The lines of it that were compared, without numbers and paths.
        matched: The number of calls that failed with it.
        sessions: The number of sessions with such a call.
        mended: The number of times that a later call of its kind succeeded, in the sessions that
            were looked at.
        shown: The number of these that are given.
        is_whole: Whether all sessions were looked at; else the 30 that are most alike, and latest.
        fixes: The best first.
    """

    error: list[str]
    matched: int
    sessions: int
    mended: int
    shown: int
    is_whole: bool
    fixes: list[Fix]


async def search_fixes(
    error: str,
    *,
    limit: int = DEFAULT_LIMIT,
    dir: Path | str | None = None,
    project: Project | None = None,
) -> FixResult:
    """Find what mended an error in earlier sessions.

        await search_fixes("ModuleNotFoundError: No module named 'yaml'")

    An error is the same whatever its numbers, paths, line numbers, addresses and ids are: compared
    are the lines that name an error, or all where none does. A later call is of its kind where it
    is of the same tool and file, or in a shell starts the same program for the same: `pytest`,
    `git push`, `npm run build`. Fixes are ranked by likeness; of equals the one comes first that
    was not followed by the error again, then that of fewer steps, then the latest.

    Args:
        error: The error's text, of one line or of a whole output; to 100,000 characters.
        limit: At most so many fixes, to 100.
        dir: The directory that holds `.khive`.
        project: The project, in place of `dir`.

    Raises:
        InvalidQueryError: The text has no words, or is too long, or the limit is out of range.
        StoreError: As its subclasses say.
    """
    if len(error) > MAX_CHARACTERS:
        raise InvalidQueryError(f"the error has more than {MAX_CHARACTERS} characters")
    if (checked_count("limit", limit) or 0) > MAX_LIMIT:
        raise InvalidQueryError(f"limit is at most {MAX_LIMIT}")
    signature = Signature(error)
    if not signature.words:
        raise InvalidQueryError("no error to look for", hint="give the text of the error")
    place = find_project(dir) if project is None else project
    async with reading(place, *failed_calls.PURPOSES) as reader:
        candidates = await failed_calls.failures(reader, words=signature.words[:_WORDS])
        likenesses = await anyio.to_thread.run_sync(partial(_compared, signature, candidates))
        titles = {}
        sessions = _sessions_of(likenesses)
        if sessions:
            titles = await read_titles(reader, dict.fromkeys(sessions))
    prices = PriceTable(configuration.load(place.config).cost_prices)
    fixes: list[Fix] = []
    async with SessionReader(place.root) as reading_sessions:
        for session_id in sessions[:_MOST_SESSIONS]:
            session = await reading_sessions.read(session_id)
            title = titles.get(session_id, "")
            fixes += await anyio.to_thread.run_sync(
                partial(_fixes_of, session, session_id, title, signature, prices)
            )
    fixes.sort(key=lambda fix: (fix.rank, fix.failed_at), reverse=True)
    return FixResult(
        error=signature.lines,
        matched=len(likenesses),
        sessions=len(sessions),
        mended=len(fixes),
        shown=min(limit, len(fixes)),
        is_whole=len(sessions) <= _MOST_SESSIONS,
        fixes=fixes[:limit],
    )


def _compared(signature: Signature, candidates: Iterable[Failure]) -> list[tuple[float, Failure]]:
    pairs = ((signature.likeness(failure.error), failure) for failure in candidates)
    return [(likeness, failure) for likeness, failure in pairs if likeness > 0]


def _sessions_of(likenesses: Sequence[tuple[float, Failure]]) -> list[str]:
    """Return the sessions, the one with the most alike error first, of equals the latest."""
    best: dict[str, tuple[float, str]] = {}
    for likeness, failure in likenesses:
        if failure.session_id:
            key = (likeness, failure.at)
            best[failure.session_id] = max(key, best.get(failure.session_id, key))
    return sorted(best, key=lambda session: best[session], reverse=True)


class _Call(NamedTuple):
    position: int
    entry: Entry
    call: EventCall
    kind: CallKind
    likeness: float


def _fixes_of(
    session: Session, session_id: str, title: str, signature: Signature, prices: PriceTable
) -> list[Fix]:
    """Return the fixes of a session, in order of time."""
    timeline = build_with_calls(session, prices)
    calls = list(_calls(timeline, signature))
    purposes = event_purposes(session)
    fixes = []
    for number, failed in enumerate(calls):
        if not failed.likeness:
            continue
        following = [call for call in calls[number + 1 :] if is_same(failed.kind, call.kind)]
        success = next((call for call in following if _succeeded(call)), None)
        if success is None:
            continue
        failures = following[: following.index(success)]
        if any(call.likeness for call in failures):
            # The last call with the error is the one that what followed has mended.
            continue
        recurred = [call for call in following[len(failures) + 1 :] if call.likeness]
        steps, omitted = _steps(timeline, failed, success, failures)
        error = text_of(failed.call.result.get("output")) if failed.call.result else ""
        fixes.append(
            Fix(
                likeness=round(failed.likeness, 3),
                rank=_rank(failed.likeness, len(recurred), len(steps) + omitted),
                session_id=session_id,
                title=title,
                client=client_of(session),
                agent_id=failed.entry.agent_id or "",
                tool_name=failed.call.name,
                failed_at=clock.to_text(failed.entry.at),
                failed_call=_line(failed.entry.title),
                error=_excerpt(error, signature),
                record_id=_record(failed.entry),
                purpose=purposes.get(_record(failed.entry), CONVERSATIONS.name),
                mended_at=clock.to_text(success.entry.at),
                mended_call=_line(success.entry.title),
                mended_record_id=_record(success.entry),
                steps=steps,
                omitted=omitted,
                attempts=sum(1 for call in failures if call.entry.is_failed),
                recurred=len(recurred),
                recurred_at=clock.to_text(recurred[-1].entry.at) if recurred else None,
                recurred_record_id=_record(recurred[-1].entry) if recurred else "",
            )
        )
    return fixes


def _calls(timeline: Timeline, signature: Signature) -> Iterable[_Call]:
    for position, entry in enumerate(timeline.entries):
        call = timeline.calls.get(entry.id) if entry.kind == "tool" else None
        if call is None:
            continue
        output = call.result.get("output") if entry.is_failed and call.result else None
        likeness = 0.0 if output is None else signature.likeness(text_of(output))
        yield _Call(position, entry, call, _kind_of(call), likeness)


def _kind_of(call: EventCall) -> CallKind:
    kind = kind_of(call.name, call.input)
    if not kind.words and kind.tool_name and call.paths:
        return kind._replace(words=(os.path.normpath(call.paths[0]),))
    return kind


def _succeeded(call: _Call) -> bool:
    return call.call.result is not None and not call.entry.is_failed


def _rank(likeness: float, recurred: int, steps: int) -> float:
    return round(likeness - 0.2 * (recurred > 0) + 0.1 / (1 + steps), 4)


def _steps(
    timeline: Timeline, failed: _Call, success: _Call, attempts: Sequence[_Call]
) -> tuple[list[FixStep], int]:
    """Return the steps between two calls, and the number of those that are left out."""
    positions = {call.position for call in attempts}
    steps: list[tuple[int, FixStep]] = []
    for position in range(failed.position + 1, success.position):
        entry = timeline.entries[position]
        step = _step(entry, timeline.calls.get(entry.id), is_attempt=position in positions)
        if step is not None:
            steps.append((position, step))
    if len(steps) <= _MOST_STEPS:
        return [step for _, step in steps], 0
    # What was said last before the success tells more than what was said first.
    by_weight = sorted(steps, key=lambda pair: (_WEIGHTS[pair[1].kind], -pair[0]))
    chosen = sorted(by_weight[:_MOST_STEPS], key=lambda pair: pair[0])
    return [step for _, step in chosen], len(steps) - _MOST_STEPS


_WEIGHTS: Final[dict[StepKind, int]] = {
    "edit": 0, "command": 1, "prompt": 2, "message": 3, "call": 4,
}  # fmt: skip


def _step(entry: Entry, call: EventCall | None, *, is_attempt: bool) -> FixStep | None:
    kind: StepKind
    lines: Sequence[str] = entry.lines
    if entry.kind == "prompt" or entry.kind == "message":
        kind = entry.kind
    elif call is None:
        return None
    elif command_of(call.input):
        kind = "command"
        lines = entry.lines if entry.is_failed and not is_attempt else ()
    elif changes := diff(call.input):
        kind, lines = "edit", changes
    elif call.name.casefold().replace("_", "") in _READS:
        # It changes nothing.
        return None
    else:
        kind, lines = "call", ()
    return FixStep(
        clock.to_text(entry.at), kind, _line(entry.title), _short(lines), entry.is_failed,
        _record(entry),
    )  # fmt: skip


def _short(lines: Sequence[str]) -> list[str]:
    remaining, beginning = _STEP_CHARACTERS, []
    for line in lines[:_STEP_LINES]:
        if remaining <= 0:
            break
        beginning.append(line[:remaining])
        remaining -= len(line)
    return beginning


def _line(title: str) -> str:
    return title[:_TITLE_CHARACTERS]


def _excerpt(text: str, signature: Signature) -> str:
    """Return the lines of an output that have the error, else its beginning."""
    if len(text) > 2 * _END_CHARACTERS:
        text = f"{text[:_END_CHARACTERS]}\n{text[-_END_CHARACTERS:]}"
    lines = [line for line in text.splitlines() if line.strip() and signature.likeness(line)]
    return ("\n".join(dict.fromkeys(lines)) or text)[:_ERROR_CHARACTERS]


def _record(entry: Entry) -> str:
    return entry.records[0] if entry.records else ""
