"""`get_session`: the entries of a session, some at a time, each bounded."""

from functools import partial
from typing import Annotated, Final

import anyio.to_thread
from pydantic import Field

from khive_persist import clock
from khive_persist import settings as configuration
from khive_persist.errors import InvalidQueryError, NotFoundError
from khive_persist.mcp_server.answers import Answer, Item, Role
from khive_persist.mcp_server.envelope import TEXT_CHARACTERS, Envelope, joined, later
from khive_persist.mcp_server.quoting import line
from khive_persist.models.purposes import CONVERSATIONS, PLANNER_SESSIONS
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.contradictions import Claim, contradictions
from khive_persist.sessions.listing import SessionFilter
from khive_persist.sessions.projects import sessions_of
from khive_persist.sessions.read import client_of, event_purposes, read_session, whole_id
from khive_persist.sessions.timeline.build import Timeline, build_with_calls
from khive_persist.sessions.timeline.calls import EventCall
from khive_persist.sessions.timeline.entry import Entry, Kind
from khive_persist.sessions.timeline.labels import text_of
from khive_persist.sessions.timeline.tool_call import arguments_of, diff

_PAGE: Final = 50
_WHOLE_CHARACTERS: Final = 40_000
_ROLES: Final[dict[Kind, Role]] = {
    "prompt": "user", "message": "assistant", "thinking": "assistant", "tool": "tool",
    "focus": "assistant", "plan": "planner", "event": "client", "gap": "client",
}  # fmt: skip


class EntryItem(Item):
    """An entry of a session."""

    number: Annotated[int, Field(description="Its place in the session, from 1.")]
    kind: Annotated[str, Field(description="prompt, message, thinking, tool, plan, focus, event.")]
    failed: bool
    files: list[str]
    characters: Annotated[int, Field(description="The length of the whole text.")] = 0


class SessionAnswer(Answer[EntryItem]):
    """The entries of a session."""

    title: Annotated[str, Field(description="The session's title, fenced.")] = ""
    verdict: str = ""
    started: str = ""
    last: str = ""


async def get_session(
    project: Project,
    session: str,
    first: int = 1,
    last: int = 0,
    offset: int = 0,
    *,
    thinking: bool = False,
) -> SessionAnswer:
    """Return some entries of a session, in order of time.

    Args:
        project: The project.
        session: The session's id, or the beginning of it.
        first: The number of the first entry, from 1.
        last: The number of the last one; 0 for the 50 from the first on. Where both are the same,
            all that is recorded of that entry is given, up to 40,000 characters.
        offset: The number of characters of the entry to leave out, to read on in a long one.
        thinking: Whether thoughts are entries.

    Raises:
        InvalidQueryError: A number is out of range.
        NotFoundError: There is no such session, or several begin so.
    """
    if first < 1 or last < 0 or offset < 0 or (last and last < first):
        raise InvalidQueryError("first counts from 1, and last is not before it")
    if not session or len(session) > 500:
        raise InvalidQueryError("name the session by its id, or the beginning of it")
    session_id = await whole_id(project, session)
    recorded = await read_session(project.root, session_id)
    prices = PriceTable(configuration.load(project.config).cost_prices)
    build = partial(build_with_calls, recorded, prices, thinking=thinking)
    timeline = await anyio.to_thread.run_sync(build)
    count = len(timeline.entries)
    if first > max(count, 1):
        raise NotFoundError(f"the session has {count} entries")
    end = min(last or first + _PAGE - 1, count)
    is_single = first == last

    def again(count: int) -> str:
        return f"get_session(session={session_id[:100]!r}, first={first + count})"

    envelope = Envelope(project, again)
    purposes = event_purposes(recorded) | {
        plan.id: PLANNER_SESSIONS.name for plan in recorded.plans
    }
    chosen = timeline.entries[first - 1 : end]
    claims = [
        Claim(purposes.get(entry.records[0], CONVERSATIONS.name), entry.records[0])
        for entry in chosen
        if entry.records and entry.kind in ("tool", "plan")
    ]
    contradicted = await contradictions(project, claims)
    for number, entry in enumerate(chosen, first):
        text = _text(entry, timeline, is_whole=is_single)
        record_id = entry.records[0] if entry.records else ""
        purpose = purposes.get(record_id, CONVERSATIONS.name)
        most = _WHOLE_CHARACTERS if is_single else TEXT_CHARACTERS // 2
        item = EntryItem(
            rank=number - first + 1,
            source=envelope.source(purpose, record_id, session_id),
            role=_ROLES[entry.kind],
            time=clock.to_text(entry.at),
            client=line(client_of(recorded)),
            agent_id=line(entry.agent_id),
            contradicted_by=later(contradicted, purpose, record_id),
            number=number,
            kind=entry.kind,
            failed=entry.is_failed,
            files=[line(path, 500) for path in entry.files[:20]],
            characters=len(text),
            **envelope.quoted(text[offset if is_single else 0 :], most),
        )
        if not envelope.add(item):
            break
    answer = envelope.answer(SessionAnswer, count - first + 1, _note(offset, is_single=is_single))
    return await _with_summary(project, session_id, envelope, answer)


def _note(offset: int, *, is_single: bool) -> str:
    if is_single:
        following = offset + _WHOLE_CHARACTERS
        return f"where the text is cut, read on with offset={following}"
    return "an entry whose text is cut is given whole with first and last both its number"


async def _with_summary(
    project: Project, session_id: str, envelope: Envelope, answer: SessionAnswer
) -> SessionAnswer:
    filters = SessionFilter(session_id=session_id, is_exact=True)
    for summary in await sessions_of(project, filters, 1):
        answer.title = envelope.fence.quote(line(summary.title))
        answer.verdict = line(summary.verdict)
        answer.started, answer.last = summary.started or "", summary.last or ""
    return answer


def _text(entry: Entry, timeline: Timeline, *, is_whole: bool) -> str:
    call = timeline.calls.get(entry.id)
    if call is None or not is_whole:
        return joined((entry.title, *entry.lines))
    return _whole_call(entry, call)


def _whole_call(entry: Entry, call: EventCall) -> str:
    arguments = arguments_of(call.input)
    output = None if call.result is None else text_of(call.result.get("output"))
    return joined(
        (
            entry.title,
            *(f"{name}: {value}" for name, value in arguments.items()),
            *diff(call.input, most_written=None),
            "" if output is None else f"output:\n{output}",
        )
    )
