"""The parents of a session's agents, from its messages and events."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from khive_persist.tools.message_part import mapping_of, mappings_in, text_of

# Results of other tools can name an agent, too.
_STARTERS: Final = frozenset({"Agent", "Task"})
_MAIN: Final = None


class Parents:
    """The agents of a session and their parents, gathered in whatever order records come.

    Claude Code says beside a subagent's transcript which tool call started it, and in the call's
    result which agent that is; Codex names the parent in the subagent's transcript, and Gemini CLI
    the agent in the call. Hook events of such a call say it once more.
    """

    def __init__(self) -> None:
        self._agents: dict[str, None] = {}
        self._named: dict[str, str | None] = {}
        self._started_by_call: dict[str, str] = {}
        self._teammates: dict[str, str] = {}
        self._callers: dict[str, str | None] = {}
        self._names: dict[str, str] = {}
        # By the agent's name in a result: the call that the result answers, and its caller.
        self._started: dict[str, tuple[str | None, str | None]] = {}

    def see_message(self, content: Mapping[str, Any]) -> None:
        """Take in one message of the session."""
        agent = text_of(content.get("agent_id"))
        if agent is not None:
            self._see_agent(agent, content)
        for call in mappings_in(content.get("tool_calls")):
            use_id = text_of(call.get("tool_use_id"))
            if use_id is not None:
                self._callers.setdefault(use_id, agent)
                self._names[use_id] = str(call.get("name"))
            if (started := text_of(call.get("spawned_agent_id"))) is not None:
                self._started.setdefault(started, (None, agent))
        for result in mappings_in(content.get("tool_results")):
            if (started := text_of(result.get("spawned_agent_id"))) is not None:
                use_id = text_of(result.get("tool_use_id"))
                self._started.setdefault(started, (use_id or "", agent))

    def see_event(self, content: Mapping[str, Any]) -> None:
        """Take in one hook event of the session."""
        agent = text_of(content.get("agent_id"))
        if agent is not None:
            self._agents.setdefault(agent)
        if content.get("event_type") != "post_agent_spawn":
            return
        payload, metadata = mapping_of(content.get("payload")), mapping_of(content.get("metadata"))
        response = mapping_of(payload.get("tool_response"))
        for started in (response.get("agentId"), metadata.get("spawned_agent_id")):
            if (agent_id := text_of(started)) is not None:
                self._started.setdefault(agent_id, (None, agent))

    def parents(self) -> dict[str, str | None]:
        """Return the parent of each agent: None is the session's own; unknown ones are missing."""
        parents: dict[str, str | None] = {}
        for agent in self._agents:
            candidates = list(self._candidates(agent))
            if candidates and candidates[0] != agent:
                parents[agent] = candidates[0]
        return parents

    def _see_agent(self, agent: str, content: Mapping[str, Any]) -> None:
        self._agents.setdefault(agent)
        if (parent := text_of(content.get("parent_agent_id"))) is not None:
            self._named[agent] = parent
        elif content.get("parent_is_session") is True:
            self._named.setdefault(agent, _MAIN)
        if (use_id := text_of(content.get("parent_tool_use_id"))) is not None:
            self._started_by_call[agent] = use_id
        if (teammate := text_of(content.get("teammate_id"))) is not None:
            self._teammates[agent] = teammate

    def _candidates(self, agent: str) -> Iterable[str | None]:
        if agent in self._named:
            yield self._named[agent]
        use_id = self._started_by_call.get(agent)
        if use_id is not None and use_id in self._callers:
            yield self._callers[use_id]
        for name in filter(None, (agent, self._teammates.get(agent))):
            if name in self._started:
                call_id, caller = self._started[name]
                if call_id is None or self._names.get(call_id) in _STARTERS:
                    yield caller
