"""Compare the events of a session with the calls and failures that its transcript tells of."""

import json
from collections import Counter
from typing import Final, NamedTuple

import anyio.to_thread

from khive_persist import settings as configuration
from khive_persist.models.event_types import POST, PRE
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import field
from khive_persist.opening import open_store, reading
from khive_persist.project import Project
from khive_persist.sessions.reported_costs import SessionCost
from khive_persist.sessions.timeline.calls import input_key
from khive_persist.store import codec
from khive_persist.store.redacting import load_redactor
from khive_persist.store.source import distinct
from khive_persist.tombstones import Tombstones
from khive_persist.tools import TOOLS, Ending
from khive_persist.transcripts import failed_hooks, hook_runs
from khive_persist.transcripts.backfill import Call, event_of_call
from khive_persist.transcripts.call_recount import recount
from khive_persist.transcripts.expectation import expected
from khive_persist.transcripts.failed_hooks import FailedHook
from khive_persist.transcripts.hook_runs import HookRun
from khive_persist.transcripts.recorded_calls import Event, read_session

_REJECTED: Final = "The user doesn't want to proceed with this tool use"
_PERMISSION: Final = "permission_request"
_ENDED: Final = {
    "denied": "it was denied",
    "interrupted": "it was interrupted",
    "invalid": "the client refused it before any hook",
    "refused": "the tool refused it",
    "unknown": "the transcript has no result: it was interrupted, or still runs",
}


class ToolCall(NamedTuple):
    """A tool call of a transcript, with its events.

    Attributes:
        tool: The AI tool.
        tool_use_id: The tool's id of the call; an empty string where it has none.
        name: The tool that the model asked for.
        created_at: The time of the call, as UTC text.
        has_pre: Whether there is an event from before the call.
        has_post: Whether there is one from after it.
        has_result: Whether the transcript has its result.
        wants_pre: Whether the tool's hooks send an event before such a call.
        wants_post: Whether they send one after a call that ended so.
        ending: The way it ended: done, failed, denied, interrupted, invalid (the client refused it
            before any hook), refused (the tool did, after one), or unknown where the transcript
            has no result.
        reason: The reason why an event is missing, where it is known; else an empty string.
    """

    tool: str
    tool_use_id: str
    name: str
    created_at: str
    has_pre: bool
    has_post: bool
    has_result: bool
    wants_pre: bool
    wants_post: bool
    ending: Ending
    reason: str


class LostEvent(NamedTuple):
    """An event whose hook failed; see `FailedHook`."""

    event: str
    subject: str
    created_at: str
    reason: str


class Account(NamedTuple):
    """The tool calls of one session against its events.

    Attributes:
        session_id: The session.
        events: The number of its events, without reconstructed ones.
        reconstructed: The number of events made from the transcript.
        messages: The number of messages in its transcripts.
        calls: Its tool calls, in order of time.
        failed_hooks: The number of hooks that failed while it ran, by its transcript.
        lost: Those of them whose event is not there, in order of time.
        after_end: The number of events after the session's end.
        endings: The number of calls that ended so.
        incomplete: The calls that lack an event that they should have.
        cost: The cost of the session, where it was asked for.
    """

    session_id: str
    events: int
    reconstructed: int
    messages: int
    calls: list[ToolCall]
    failed_hooks: int
    lost: list[LostEvent]
    after_end: int
    endings: dict[str, int]
    incomplete: list[ToolCall]
    cost: SessionCost | None = None


async def account(project: Project, session_id: str) -> Account:
    """Reconcile the transcripts of a session, as `sync` read them, with its hook events.

    A call and its events are matched by their `tool_use_id`; where a client's events have none, the
    tool's name and input have to be the same.
    """
    events, (calls, failed, runs, messages) = await read_session(project, session_id)
    of_calls = _matched(calls, events)
    of_failed = _of_failed(failed, calls, events)
    end = max((e.created_at for e in events if e.event_type == "session_end"), default=None)
    tool_calls = [
        _tool_call(call, matches, events) for call, matches in zip(calls, of_calls, strict=True)
    ]
    return Account(
        session_id,
        sum(not event.is_reconstructed for event in events),
        sum(event.is_reconstructed for event in events),
        messages,
        tool_calls,
        len(failed),
        [
            LostEvent(hook.event, hook.subject, hook.created_at, hook.reason)
            for hook, matches in zip(failed, of_failed, strict=True)
            if not matches
        ]
        + [
            LostEvent(run.event, str(run.at), run.created_at, hook_runs.REASON)
            for run, matches in zip(runs, _of_runs(runs, events), strict=True)
            if not matches
        ],
        sum(end is not None and event.created_at > end for event in events),
        Counter(call.ending for call in tool_calls),
        [
            call
            for call in tool_calls
            if (call.wants_pre and not call.has_pre) or (call.wants_post and not call.has_post)
        ],
    )


async def backfill(project: Project, session_id: str) -> int:
    """Write the events that a session lacks, as far as its transcripts tell of them.

    They are those of its tool calls, and those of hooks that failed; committed, synced and
    copied on return. Each says so in its metadata: `reconstructed` is true. Run again, nothing
    changes; one whose real event has come since is removed. What was pruned is not written again.

    Returns:
        The number of events written.
    """
    events, (calls, failed, runs, _) = await read_session(project, session_id)
    new_events = []
    surplus = []
    for hook, hook_events in zip(failed, _of_failed(failed, calls, events), strict=True):
        hook_event = hook.reconstructed(session_id)
        if hook_event is None:
            continue
        if not hook_events:
            new_events.append(hook_event)
        elif not all(event.is_reconstructed for event in hook_events):
            surplus += [event.id for event in hook_events if event.is_reconstructed]
    for run, run_events in zip(runs, _of_runs(runs, events), strict=True):
        if not run_events:
            new_events.append(run.reconstructed())
        elif not all(event.is_reconstructed for event in run_events):
            surplus += [event.id for event in run_events if event.is_reconstructed]
    for call, call_events in zip(calls, _matched(calls, events), strict=True):
        expectation = expected(
            call.tool, call.name, call.tool_use_id, _ending(call, call_events, events)
        )
        for is_post, types in ((False, PRE), (True, POST)):
            phase_events = [event for event in call_events if event.event_type in types]
            real = [event for event in phase_events if not event.is_reconstructed]
            if real:
                surplus += [event.id for event in phase_events if event.is_reconstructed]
            elif not phase_events and (expectation.post if is_post else expectation.pre):
                new_events.append(event_of_call(call, session_id, is_post=is_post))
    tombstones = await anyio.to_thread.run_sync(Tombstones.load, project)
    new_events = [
        event
        for event in new_events
        if not tombstones.is_pruned(event.purpose_of(event.content).name, codec.to_row(event))
    ]
    async with open_store(HookEvent, dir=project.root) as store:
        for id in surplus:
            await store.delete(id)
        await store.save_many(new_events)
    settings = configuration.load(project.config)
    redactor = load_redactor(project, settings)
    # What was counted by messages is counted by these events from now on.
    await anyio.to_thread.run_sync(recount, project, settings, redactor, session_id)
    return len(new_events)


async def sessions_of(project: Project, paths: list[str] | None = None) -> list[str]:
    """Return the sessions of the messages of these transcripts; without paths, of all."""
    filters = [] if paths is None else [field("transcript_path").in_(paths)]
    async with reading(project, CONVERSATIONS) as reader:
        rows = await reader.fetch(lambda source: distinct(source, "$.session_id", filters=filters))
    return sorted(row[0] for row in rows if isinstance(row[0], str))


def _of_failed(
    failed: list[FailedHook], calls: list[Call], events: list[Event]
) -> list[list[Event]]:
    """Return the events of each hook that failed: reconstructed, or recorded all the same."""
    if not failed:
        return []
    message_of = {call.tool_use_id: call.message_id for call in calls}
    by_subject: dict[tuple[str, str | None], list[Event]] = {}
    for event in events:
        if event.tool == failed_hooks.TOOL:
            batch = message_of.get(event.first_of_batch or "")
            subject = batch or event.tool_use_id or event.prompt_id
            by_subject.setdefault((event.event_type, subject), []).append(event)
    return [
        [
            event
            for event_type in failed_hooks.EVENT_TYPES[hook.event]
            for event in by_subject.get((event_type, hook.subject), ())
        ]
        for hook in failed
    ]


def _of_runs(runs: list[HookRun], events: list[Event]) -> list[list[Event]]:
    """Return the events of each hook that ran: those of its type that have its time."""
    by_time: dict[tuple[str, str, int | None], list[Event]] = {}
    for event in events if runs else ():
        by_time.setdefault((event.tool, event.event_type, event.sent_at), []).append(event)
    return [by_time.get((run.tool, run.event, run.at), []) for run in runs]


def _matched(calls: list[Call], events: list[Event]) -> list[list[Event]]:
    by_id: dict[tuple[str, str], list[Event]] = {}
    by_input: dict[tuple[str, str, str, bool], list[Event]] = {}
    for event in events:
        if event.event_type not in (*PRE, *POST):
            continue
        if event.tool_use_id:
            by_id.setdefault((event.tool, event.tool_use_id), []).append(event)
        else:
            is_post = event.event_type in POST
            key = (event.tool, str(event.name), event.input, is_post)
            by_input.setdefault(key, []).append(event)
    matched = []
    for call in calls:
        call_events = list(by_id.get((call.tool, call.tool_use_id), ()))
        for is_post in (False, True):
            name = TOOLS[call.tool].hook_name(call.name)
            candidates = by_input.get((call.tool, name, input_key(call.input), is_post))
            # One that was made of the transcript has the call's id.
            if candidates and not any(
                (event.event_type in POST) is is_post and not event.is_reconstructed
                for event in call_events
            ):
                call_events.append(candidates.pop(0))
        matched.append(call_events)
    return matched


def _tool_call(call: Call, call_events: list[Event], events: list[Event]) -> ToolCall:
    has_pre = any(event.event_type in PRE for event in call_events)
    has_post = any(event.event_type in POST for event in call_events)
    ending = _ending(call, call_events, events)
    expectation = expected(call.tool, call.name, call.tool_use_id, ending)
    return ToolCall(
        call.tool,
        call.tool_use_id,
        call.name,
        call.created_at,
        has_pre,
        has_post,
        call.result is not None,
        expectation.pre,
        expectation.post,
        ending,
        "" if has_pre and has_post else _reason(ending, has_pre=has_pre),
    )


def _ending(call: Call, call_events: list[Event], events: list[Event]) -> Ending:
    """Return how a call ended, by the transcript and by the events.

    Claude Code has the same words for a call that the user did not allow and for one that they
    stopped: where hooks were running, only the former asked for a permission.
    """
    ending = call.ending
    output = (call.result or {}).get("output")
    if (
        ending == "denied"
        and call.tool == "claude-code"
        and _REJECTED in json.dumps(output, default=str)
    ):
        has_pre = any(
            event.event_type in PRE and not event.is_reconstructed for event in call_events
        )
        was_asked = any(
            event.event_type == _PERMISSION
            and (event.name, event.input) == (call.name, input_key(call.input))
            and call.created_at <= event.created_at <= call.ended_at
            for event in events
        )
        return "interrupted" if has_pre and not was_asked else ending
    return ending


def _reason(ending: Ending, *, has_pre: bool) -> str:
    if ending in _ENDED:
        return _ENDED[ending]
    if ending == "failed":
        return "it failed, and the tool sent no event after it" if has_pre else "it failed"
    return "the tool sent no event after it" if has_pre else "no event came"
