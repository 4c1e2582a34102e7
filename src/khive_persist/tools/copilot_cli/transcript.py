"""Copilot CLI's transcripts: `$COPILOT_HOME/session-state/<session>/events.jsonl`.

One file has a session with all its agents, whose lines have an `agentId`, and each time that it was
resumed. The tokens of an answer come on a line before it, under the provider's id of the call;
those of a compaction stand on its own line only. Costs are told in premium requests and AI credits,
in no currency. For each hook there is a line with its input: those of hooks around tool calls,
which the call and its result give, too, are passed over.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from khive_persist.tools.copilot_cli.hook_inputs import payload_of
from khive_persist.tools.copilot_cli.injected import INJECTED
from khive_persist.tools.copilot_cli.shell import shell_end
from khive_persist.tools.injected import kind_of
from khive_persist.tools.message_part import (
    HOOK,
    NO_MESSAGE,
    Line,
    MessagePart,
    count_in,
    mapping_of,
    mappings_in,
    present,
    text_of,
)

# What hooks are told of tool calls.
_OF_CALLS: Final = frozenset({"preToolUse", "postToolUse", "postToolUseFailure"})
_SHELLS: Final = frozenset({"bash", "powershell"})
_AGENTS: Final = "agent-"
# Calls that have not come to their end or answer yet; more would be of a damaged file.
_MAX_WAITING: Final = 1_000
# What the client notes for itself, or says by another line, too.
_OTHER: Final = frozenset(
    {
        "assistant.intent", "assistant.reasoning", "assistant.turn_end", "assistant.turn_start",
        "hook.end", "hook.start", "permission.completed", "permission.requested",
        "session.binary_asset", "session.compaction_start", "session.completion_receipt",
        "session.context_changed",
        "session.info", "session.mode_changed", "session.model_change",
        "session.permissions_changed", "session.plan_changed", "session.resume",
        "session.shutdown", "session.start", "session.task_complete", "session.title_changed",
        "session.truncation", "session.usage_checkpoint", "session.warning",
        "session.workspace_file_changed", "skill.invoked", "subagent.completed",
        "subagent.configured", "subagent.deselected", "subagent.failed", "subagent.selected",
        "subagent.started", "tool.execution_start", "tool.user_requested",
    }
)  # fmt: skip
# A compaction's own call of the model, line by line.
_MODEL: Final = "model."


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The facts that later lines need of earlier ones: the session, its agents, the answers
            whose tokens are known, and the names of the tools that run.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        data = mapping_of(document.get("data"))
        self._follow(kind, document, data)
        part = self._part(kind, document, data)
        if part is not None:
            return Line(kind, (part,))
        return Line(kind, is_known=kind in _OTHER or kind.startswith(_MODEL))

    def _follow(self, kind: str, document: Mapping[str, Any], data: Mapping[str, Any]) -> None:
        """Keep what later lines need."""
        if kind in ("session.start", "session.resume"):
            context = mapping_of(data.get("context"))
            parent = text_of(data.get("detachedFromSpawningParentSessionId"))
            self.state |= present(
                session_id=text_of(data.get("sessionId")),
                parent_session_id=parent,
                cwd=text_of(context.get("cwd")),
            )
        elif kind == "subagent.started":
            if agent := text_of(document.get("agentId")):
                agents: dict[str, Any] = self.state.setdefault("agents", {})
                agents[agent] = present(
                    agent_type=text_of(data.get("agentType")) or text_of(data.get("agentName")),
                    parent_agent_id=text_of(data.get("parentId")),
                )
                _limit(agents)
                if call := text_of(data.get("toolCallId")):
                    spawned: dict[str, str] = self.state.setdefault("spawned", {})
                    spawned[call] = agent
                    _limit(spawned)
        elif kind == "tool.execution_start":
            call, name = text_of(data.get("toolCallId")), text_of(data.get("toolName"))
            if call and name:
                tools: dict[str, dict[str, Any]] = self.state.setdefault("tools", {})
                tools[call] = {"name": name, "agent": text_of(document.get("agentId"))}
                _limit(tools)

    def _part(
        self, kind: str, document: Mapping[str, Any], data: Mapping[str, Any]
    ) -> MessagePart | None:
        id = text_of(document.get("id"))
        if id is None:
            return None
        at = text_of(document.get("timestamp"))
        key = id
        match kind:
            case "user.message":
                fields = self._user(data, id)
            case "assistant.message" if _is_clients(data):
                fields = self._clients(data)
            case "assistant.message":
                key, fields = self._assistant(document, data, id)
            case "session.usage_record":
                fields = self._usage(document, mapping_of(data.get("usage")), id)
            case "tool.execution_complete" if self._was_clients(data):
                text = mapping_of(data.get("result")).get("content")
                fields = present(role="user", kind="context", text=text)
            case "tool.execution_complete":
                fields = {"role": "tool", "kind": "message", "tool_results": [self._result(data)]}
            case "system.message":
                role = text_of(data.get("role")) or "system"
                fields = present(role=role, kind="system_prompt", text=data.get("content"))
            case "system.notification":
                fields = present(role="user", kind="task_notification", text=data.get("content"))
            case "session.compaction_complete":
                fields = _compaction(data)
            case "abort":
                fields = present(
                    role="system", kind="interruption", text=text_of(data.get("reason")),
                    tool_results=self._stopped(text_of(document.get("agentId"))),
                )  # fmt: skip
            case "session.error":
                fields = present(role="system", kind="error", text=data.get("message"))
            case "hook.start":
                sent = _sent(data)
                if sent is None:
                    return None
                fields = {"role": NO_MESSAGE, "kind": HOOK, "payload": sent}
            case _:
                return None
        fields = self._common(document) | {"message_id": key} | fields
        return MessagePart(key, id, {n: v for n, v in fields.items() if v != ""}, at)

    def _user(self, data: Mapping[str, Any], id: str) -> dict[str, Any]:
        text = text_of(data.get("content")) or ""
        source = text_of(data.get("source")) or ""
        kind = kind_of(INJECTED, [text])
        if data.get("isAutopilotContinuation") is True or (
            source and not source.startswith(_AGENTS) and source != "user"
        ):
            kind = "context"
        return present(
            role="user", kind=kind, text=text, message_id=text_of(data.get("messageId")) or id,
            turn_id=text_of(data.get("interactionId")),
        )  # fmt: skip

    def _assistant(
        self, document: Mapping[str, Any], data: Mapping[str, Any], id: str
    ) -> tuple[str, dict[str, Any]]:
        answer = text_of(data.get("apiCallId"))
        keys = self.state.get("answers", {})
        key = keys.get(_answer(document, answer)) if answer else None
        tokens = data.get("outputTokens") if key is None else None
        fields = present(
            role="assistant", kind="message", text=text_of(data.get("content")),
            thinking=text_of(data.get("reasoningText")), tool_calls=_calls(data),
            model=text_of(data.get("model")), request_id=answer,
            turn_id=text_of(data.get("interactionId")),
            # Before it wrote records of usage, it told no more than this.
            tokens={"output": tokens} if isinstance(tokens, int) and tokens > 0 else None,
        )  # fmt: skip
        return key or id, fields

    def _clients(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Read calls that the client makes in the model's name, for which no hook runs."""
        calls = _calls(data)
        own: dict[str, bool] = self.state.setdefault("clients", {})
        own |= {call["tool_use_id"]: True for call in calls if text_of(call["tool_use_id"])}
        _limit(own)
        return {"role": "system", "kind": "context", "payload": dict(data)}

    def _was_clients(self, data: Mapping[str, Any]) -> bool:
        call = text_of(data.get("toolCallId"))
        return self.state.get("clients", {}).pop(call, False) is True

    def _usage(
        self, document: Mapping[str, Any], usage: Mapping[str, Any], id: str
    ) -> dict[str, Any]:
        answer = text_of(usage.get("apiCallId"))
        if answer:
            keys: dict[str, str] = self.state.setdefault("answers", {})
            name = _answer(document, answer)
            keys.pop(name, None)
            keys[name] = id
            _limit(keys)
        return present(
            role="assistant", kind="message", model=text_of(usage.get("model")), request_id=answer,
            usage=dict(usage), tokens=_tokens(usage),
        )  # fmt: skip

    def _result(self, data: Mapping[str, Any]) -> dict[str, Any]:
        call = text_of(data.get("toolCallId")) or ""
        name = self.state.get("tools", {}).pop(call, {}).get("name")
        agent = self.state.get("spawned", {}).pop(call, None)
        result = mapping_of(data.get("result"))
        error = mapping_of(data.get("error"))
        is_error = data.get("success") is False
        output = text_of(error.get("message")) if is_error else result.get("content")
        code = mapping_of(data.get("shellExecution")).get("exitCode")
        fields = {"tool_use_id": call, "output": output} | present(
            name=name, status=text_of(error.get("code")) if is_error else None,
            spawned_agent_id=agent, file_paths=_edited(data.get("fileEdits")),
        )  # fmt: skip
        if name in _SHELLS and isinstance(output, str) and not is_error:
            if shell_end(output).is_running:
                return fields | {"is_running": True}
            if isinstance(code, int):
                return fields | {"exit_code": code, "is_error": code != 0}
        return fields | {"is_error": is_error}

    def _stopped(self, agent: str | None) -> list[dict[str, Any]]:
        """Return the results of an agent's calls that run as it is stopped: no line has any."""
        tools = self.state.get("tools", {})
        ids = [call for call, facts in tools.items() if facts.get("agent") == agent]
        return [
            {"tool_use_id": id, "name": tools.pop(id)["name"], "is_error": True}
            | {"status": "cancelled"}
            for id in ids
        ]

    def _common(self, document: Mapping[str, Any]) -> dict[str, Any]:
        agent = text_of(document.get("agentId"))
        # Once is enough: it is the whole session's.
        link = {n: self.state.pop(n) for n in ("parent_session_id",) if n in self.state}
        facts = self.state.get("agents", {}).get(agent, {}) if agent else {}
        return link | present(
            session_id=self.state.get("session_id"), agent_id=agent, cwd=self.state.get("cwd"),
            parent_is_session=True if agent and "parent_agent_id" not in facts else None, **facts,
        )  # fmt: skip


def _is_clients(data: Mapping[str, Any]) -> bool:
    """Return whether the client, and no model, said something."""
    return not any(name in data for name in ("model", "apiCallId", "interactionId"))


def _sent(data: Mapping[str, Any]) -> dict[str, Any] | None:
    hook_type, hook_input = data.get("hookType"), data.get("input")
    if not isinstance(hook_type, str) or not isinstance(hook_input, Mapping):
        return None
    return None if hook_type in _OF_CALLS else payload_of(hook_type, hook_input)


def _limit(waiting: dict[str, Any]) -> None:
    while len(waiting) > _MAX_WAITING:
        waiting.pop(next(iter(waiting)))


def _answer(document: Mapping[str, Any], answer: str) -> str:
    """Name an answer of the model: providers on the same machine begin to count anew."""
    return f"{document.get('agentId') or ''} {answer}"


def _calls(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "tool_use_id": call.get("toolCallId"),
            "name": call.get("name"),
            "input": call.get("arguments"),
        }
        | present(namespace=text_of(call.get("mcpServerName")))
        for call in mappings_in(data.get("toolRequests"))
    ]


def _edited(edits: Any) -> list[str]:
    """Return the paths of edits that were made, each once."""
    paths: dict[str, None] = {}
    for edit in mappings_in(edits):
        for state in (edit, mapping_of(edit.get("before")), mapping_of(edit.get("after"))):
            if path := text_of(state.get("path")):
                paths[path] = None
    return list(paths)


def _compaction(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary that stands for what was said before, with its tokens."""
    usage = data.get("compactionTokensUsed")
    used = usage if isinstance(usage, Mapping) else {}
    return present(
        role="system", kind="compaction", text=text_of(data.get("summaryContent")),
        model=text_of(used.get("model")) or text_of(data.get("model")),
        usage=dict(used), tokens=_tokens(used) if used else None,
    )  # fmt: skip


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    """Count the tokens of each kind: Copilot's input has cached ones, its output the reasoning."""
    number = partial(count_in, usage)
    cache_read, cache_write = number("cacheReadTokens"), number("cacheWriteTokens")
    return {
        "input": max(0, number("inputTokens") - cache_read - cache_write),
        "cache_read": cache_read,
        "cache_write": cache_write,
        "output": number("outputTokens"),
        "reasoning": number("reasoningTokens"),
    }
