"""The agents of one session, each under the one that started it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from khive_persist.prices import PriceTable
from khive_persist.sessions.definitions import is_call_end, is_failed_call
from khive_persist.sessions.lineage.agent_totals import (
    AgentWork,
    Work,
    agent_work,
    of_message,
    sum_work,
)
from khive_persist.sessions.lineage.parents import Parents
from khive_persist.tools.message_part import mappings_in

_LAST: Final = datetime.max.replace(tzinfo=UTC)


class Agent(NamedTuple):
    """One agent of a session.

    Attributes:
        agent_id: The tool's id of it; None for the session's own.
        agent_type: Its kind, in the tool's word; None where the tool names none.
        parent_agent_id: The agent that started it; None for the session's own.
        parent_is_recorded: Whether the agent that started it is known. Where it is not, nothing is
            guessed: the agent comes after those that are known to be the session's.
            `parent_agent_id` is then one that was named and has no records, if there is one.
        depth: 0 for the session's own agent, 1 for those that it started, and so on.
        models: The models that answered.
        own: Its own work.
        total: Its work and that of all agents below it.
    """

    agent_id: str | None
    agent_type: str | None
    parent_agent_id: str | None
    parent_is_recorded: bool
    depth: int
    models: tuple[str, ...]
    own: AgentWork
    total: AgentWork


class _Trace:
    def __init__(self) -> None:
        self.agent_type: str | None = None
        self.models: dict[str, None] = {}
        self.work = Work()
        self.is_real = False

    def span(self, at: datetime) -> None:
        self.work = sum_work([self.work, Work(started_at=at, ended_at=at)])


class Agents:
    """The agents of a session, gathered from its messages and events, in whatever order they come.

    A tool call counts by its end, as in every count of a session; a message that names the call
    knows better than its event which agent called. Memory holds the agents and the ids of their
    calls, and no texts.
    """

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self._parents = Parents()
        self._traces: dict[str | None, _Trace] = {None: _Trace()}
        self._callers: dict[str, str | None] = {}
        self._ends: Counter[tuple[str | None, str | None, bool]] = Counter()
        self._types: dict[str | None, str] = {}
        self.tools: dict[str, None] = {}

    def see_message(self, content: Mapping[str, Any], at: datetime) -> None:
        """Take in one message of the session."""
        self._parents.see_message(content)
        agent = self._agent(content)
        trace = self._traces[agent]
        trace.is_real = True
        trace.work = sum_work([trace.work, of_message(content, at, self._prices)])
        if content.get("role") == "assistant" and isinstance(content.get("model"), str):
            trace.models.setdefault(content["model"])
        for call in mappings_in(content.get("tool_calls")):
            if isinstance(use_id := call.get("tool_use_id"), str):
                self._callers[use_id] = agent
            self._see_type(call)

    def see_event(self, content: Mapping[str, Any], at: datetime) -> None:
        """Take in one hook event of the session."""
        self._parents.see_event(content)
        kind, agent = content.get("event_type"), self._agent(content)
        trace = self._traces[agent]
        # Of an agent that compacts a conversation, Claude Code says only that it stopped.
        trace.is_real |= kind != "subagent_stop" or bool(content.get("agent_type"))
        trace.span(at)
        if is_call_end(content):
            use_id = content.get("tool_use_id")
            call_id = use_id if isinstance(use_id, str) else None
            self._ends[call_id, agent, is_failed_call(content)] += 1

    def tree(self) -> list[Agent]:
        """Return the agents: the session's own first, each followed by those that it started.

        Those of one agent are in order of their start. Agents whose parent is not recorded come
        last; so do those of damaged data where each is below the other.
        """
        calls = self._calls()
        agents = {id: trace for id, trace in self._traces.items() if id is None or trace.is_real}
        work = {id: sum_work([trace.work, calls.get(id, Work())]) for id, trace in agents.items()}
        parents = {id: parent for id, parent in self._parents.parents().items() if id in agents}
        in_order = sorted(
            (id for id in agents if id is not None),
            key=lambda agent: (agents[agent].work.started_at or _LAST, agent),
        )
        children: dict[str | None, list[str]] = {}
        for id in in_order:
            if id in parents and parents[id] in agents:
                children.setdefault(parents[id], []).append(id)
        unplaced = [id for id in in_order if id not in parents or parents[id] not in agents]
        order: list[tuple[str | None, int]] = []
        reached: set[str | None] = set()
        # Agents that are not reached by then are below themselves: the first of them begins.
        for head in (None, *unplaced, *in_order):
            if head not in reached:
                order += _below(head, children, reached)
        totals = _totals(order, work)
        return [
            Agent(
                id,
                agents[id].agent_type or self._types.get(id),
                parents.get(id) if id is not None else None,
                id is None or depth > 1 or (id in parents and parents[id] is None),
                depth,
                tuple(agents[id].models),
                agent_work(work[id]),
                agent_work(totals[number]),
            )
            for number, (id, depth) in enumerate(order)
        ]

    def _agent(self, content: Mapping[str, Any]) -> str | None:
        if isinstance(tool := content.get("tool"), str):
            self.tools.setdefault(tool)
        id = content.get("agent_id")
        agent = id if isinstance(id, str) and id else None
        trace = self._traces.setdefault(agent, _Trace())
        kind = content.get("agent_type")
        if agent is not None and isinstance(kind, str) and kind:
            trace.agent_type = trace.agent_type or kind
        return agent

    def _see_type(self, call: Mapping[str, Any]) -> None:
        """Take in an agent's kind, which Gemini CLI says only in the call that starts it."""
        arguments, started = call.get("input"), call.get("spawned_agent_id")
        kind = arguments.get("agent_name") if isinstance(arguments, Mapping) else None
        if isinstance(kind, str) and isinstance(started, str):
            self._types[started] = kind

    def _calls(self) -> dict[str | None, Work]:
        calls: dict[str | None, Work] = {}
        for (use_id, of_event, is_failed), count in self._ends.items():
            agent = of_event if use_id is None else self._callers.get(use_id, of_event)
            work = Work(tool_calls=count, failures=count * is_failed)
            calls[agent] = sum_work([calls.get(agent, Work()), work])
        return calls


def _below(
    head: str | None, children: Mapping[str | None, list[str]], reached: set[str | None]
) -> Iterator[tuple[str | None, int]]:
    """Yield an agent and those below it, with their depths.

    It is no recursion, as damaged data may have a circle.
    """
    stack: list[tuple[str | None, int]] = [(head, 0 if head is None else 1)]
    while stack:
        id, depth = stack.pop()
        if id in reached:
            continue
        reached.add(id)
        yield id, depth
        stack += [(child, depth + 1) for child in reversed(children.get(id, ()))]


def _totals(order: list[tuple[str | None, int]], work: Mapping[str | None, Work]) -> list[Work]:
    """Sum the work of each agent with all below it: those that follow it and are deeper."""
    totals = [work[id] for id, _ in order]
    above: list[int] = []
    parents: list[int | None] = []
    for number, (_, depth) in enumerate(order):
        while above and order[above[-1]][1] >= depth:
            above.pop()
        parents.append(above[-1] if above else None)
        above.append(number)
    for number, parent in reversed([*enumerate(parents)]):
        if parent is not None:
            totals[parent] = sum_work([totals[parent], totals[number]])
    return totals
