"""The agents of one session, each under the one that started it."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from khive_persist.prices import PriceTable
from khive_persist.sessions.definitions import is_call_end, is_failed_call
from khive_persist.sessions.lineage.agent_totals import Work, of_message, together
from khive_persist.sessions.lineage.parents import Parents

_LAST: Final = datetime.max.replace(tzinfo=UTC)


class Agent(NamedTuple):
    """One agent of a session.

    Attributes:
        agent_id: What its tool calls it; None for the session's own.
        agent_type: What kind it is, in the tool's word; None where that is not told.
        parent_agent_id: The agent that started it; None for the session's own.
        parent_is_recorded: Whether that is known. Where it is not, nothing is guessed: the agent
            comes after those that are known to be the session's. `parent_agent_id` is then one that
            was named and of which nothing else is recorded, if there is one.
        depth: 0 for the session's own agent, 1 for those that it started, and so on.
        models: That answered.
        own: What it did by itself.
        total: The same with all agents below it.
    """

    agent_id: str | None
    agent_type: str | None
    parent_agent_id: str | None
    parent_is_recorded: bool
    depth: int
    models: tuple[str, ...]
    own: Work
    total: Work


class _Seen:
    def __init__(self) -> None:
        self.agent_type: str | None = None
        self.models: dict[str, None] = {}
        self.work = Work()
        self.is_real = False

    def span(self, at: datetime) -> None:
        self.work = together([self.work, Work(started_at=at, ended_at=at)])


class Agents:
    """Gathers the agents of a session from its messages and events, in whatever order they come.

    A tool call counts by its end, as in every count of a session; a message that names the call
    knows better than its event which agent called. Memory is for the agents and the ids of their
    calls, not for what was said.
    """

    def __init__(self, prices: PriceTable) -> None:
        self._prices = prices
        self._parents = Parents()
        self._seen: dict[str | None, _Seen] = {None: _Seen()}
        self._callers: dict[str, str | None] = {}
        self._ends: Counter[tuple[str | None, str | None, bool]] = Counter()
        self._types: dict[str | None, str] = {}
        self.tools: dict[str, None] = {}

    def see_message(self, content: Mapping[str, Any], at: datetime) -> None:
        """Take in one message of the session."""
        self._parents.see_message(content)
        agent = self._agent(content)
        seen = self._seen[agent]
        seen.is_real = True
        seen.work = together([seen.work, of_message(content, at, self._prices)])
        if content.get("role") == "assistant" and isinstance(content.get("model"), str):
            seen.models.setdefault(content["model"])
        for call in content.get("tool_calls") or ():
            if isinstance(use_id := call.get("tool_use_id"), str):
                self._callers[use_id] = agent
            self._see_type(call)

    def see_event(self, content: Mapping[str, Any], at: datetime) -> None:
        """Take in one hook event of the session."""
        self._parents.see_event(content)
        kind, agent = content.get("event_type"), self._agent(content)
        seen = self._seen[agent]
        # Claude Code says of what compacts a conversation that it stopped, and nothing else.
        seen.is_real |= kind != "subagent_stop" or bool(content.get("agent_type"))
        seen.span(at)
        if is_call_end(content):
            use_id = content.get("tool_use_id")
            named = use_id if isinstance(use_id, str) else None
            self._ends[named, agent, is_failed_call(content)] += 1

    def tree(self) -> list[Agent]:
        """The agents: the session's own first, each followed by those that it started.

        Those of one agent are in order of their start. Agents whose parent is not recorded come
        last; so do those of damaged data where each is below the other.
        """
        calls = self._calls()
        agents = {id: seen for id, seen in self._seen.items() if id is None or seen.is_real}
        own = {id: together([seen.work, calls.get(id, Work())]) for id, seen in agents.items()}
        told = {id: parent for id, parent in self._parents.found().items() if id in agents}
        in_order = [id for id in _in_order(agents) if id is not None]
        children: dict[str | None, list[str]] = {}
        for id in in_order:
            if id in told and told[id] in agents:
                children.setdefault(told[id], []).append(id)
        unplaced = [id for id in in_order if id not in told or told[id] not in agents]
        order: list[tuple[str | None, int]] = []
        reached: set[str | None] = set()
        # What is left after these is below itself: the first of it begins.
        for head in (None, *unplaced, *in_order):
            if head not in reached:
                order += _below(head, children, reached)
        totals = _totals(order, own)
        return [
            Agent(
                id,
                agents[id].agent_type or self._types.get(id),
                told.get(id) if id is not None else None,
                id is None or depth > 1 or (id in told and told[id] is None),
                depth,
                tuple(agents[id].models),
                own[id],
                totals[number],
            )
            for number, (id, depth) in enumerate(order)
        ]

    def _agent(self, content: Mapping[str, Any]) -> str | None:
        if isinstance(tool := content.get("tool"), str):
            self.tools.setdefault(tool)
        id = content.get("agent_id")
        agent = id if isinstance(id, str) and id else None
        seen = self._seen.setdefault(agent, _Seen())
        kind = content.get("agent_type")
        if agent is not None and isinstance(kind, str) and kind:
            seen.agent_type = seen.agent_type or kind
        return agent

    def _see_type(self, call: Mapping[str, Any]) -> None:
        """Gemini CLI says what kind an agent is only where it is started."""
        given, started = call.get("input"), call.get("spawned_agent_id")
        kind = given.get("agent_name") if isinstance(given, Mapping) else None
        if isinstance(kind, str) and isinstance(started, str):
            self._types[started] = kind

    def _calls(self) -> dict[str | None, Work]:
        """The calls of which events tell."""
        calls: dict[str | None, Work] = {}
        for (use_id, of_event, is_failed), count in self._ends.items():
            agent = of_event if use_id is None else self._callers.get(use_id, of_event)
            work = Work(tool_calls=count, failures=count * is_failed)
            calls[agent] = together([calls.get(agent, Work()), work])
        return calls


def _in_order(agents: Mapping[str | None, _Seen]) -> list[str | None]:
    return sorted(agents, key=lambda one: (agents[one].work.started_at or _LAST, one or ""))


def _below(
    head: str | None, children: Mapping[str | None, list[str]], reached: set[str | None]
) -> Iterator[tuple[str | None, int]]:
    """An agent and those below it, with their depths; without recursion, as data may be damaged."""
    waiting: list[tuple[str | None, int]] = [(head, 0 if head is None else 1)]
    while waiting:
        id, depth = waiting.pop()
        if id in reached:
            continue
        reached.add(id)
        yield id, depth
        waiting += [(child, depth + 1) for child in reversed(children.get(id, ()))]


def _totals(order: list[tuple[str | None, int]], own: Mapping[str | None, Work]) -> list[Work]:
    """The work of each agent with all below it: those that follow it and are deeper."""
    totals = [own[id] for id, _ in order]
    open_above: list[int] = []
    for number in range(len(order)):
        while open_above and order[open_above[-1]][1] >= order[number][1]:
            _close(totals, open_above)
        open_above.append(number)
    while open_above:
        _close(totals, open_above)
    return totals


def _close(totals: list[Work], open_above: list[int]) -> None:
    done = open_above.pop()
    if open_above:
        totals[open_above[-1]] = together([totals[open_above[-1]], totals[done]])
