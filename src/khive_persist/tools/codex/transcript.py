"""Codex's transcripts: `$CODEX_HOME/sessions/Y/M/D/rollout-*.jsonl`.

Each item of a response is a line, and so a message here; the tokens of the response come on a line
after them, and count with its last item. A subagent has a file of its own, which names its parent,
and may begin with the parent's lines. A fork names the session that it goes on from.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from khive_persist.tools.codex.injected import INJECTED
from khive_persist.tools.codex.results import end_of, is_running, result_of, text_in, texts_in
from khive_persist.tools.injected import kind_of
from khive_persist.tools.message_part import (
    Line,
    MessagePart,
    count_in,
    mapping_of,
    present,
    text_of,
)

# Events repeat what items say, for the client's screen; the state of the world is not said.
_OTHER: Final = frozenset({"inter_agent_communication_metadata", "world_state"})
_CALLS: Final = frozenset({"function_call", "custom_tool_call", "local_shell_call"})
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
# Calls whose end and result have not met yet; more would be of a damaged file.
_MAX_WAITING: Final = 1_000


class Reader:
    """Reads lines of one transcript.

    Attributes:
        state: The facts that later lines need of earlier ones: the session and its agent, the
            turn and model, the last item of the model, and up to which ordinal a subagent has its
            parent's lines.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def read(self, document: Mapping[str, Any]) -> Line:
        kind = str(document.get("type"))
        payload = mapping_of(document.get("payload"))
        at = text_of(document.get("timestamp"))
        match kind:
            case "session_meta":
                # What a subagent inherits has its parent's, too.
                if "session_id" not in self.state:
                    self._meet(payload)
                return Line(kind)
            case "turn_context":
                self.state |= present(
                    model=payload.get("model"), turn_id=payload.get("turn_id"),
                    cwd=payload.get("cwd"),
                )  # fmt: skip
                return Line(kind)
            case "token_usage_record":
                self.state["has_usage_records"] = True
                return Line(kind, self._usage(payload, at))
            case "event_msg":
                return Line(kind, self._event(payload, at))
            case "response_item":
                item = str(payload.get("type"))
                return Line(f"{kind} {item}", self._item(document, payload, item, at))
            case "compacted":
                return Line(kind, self._compaction(document, payload, at))
        return Line(kind, is_known=kind in _OTHER)

    def _meet(self, payload: Mapping[str, Any]) -> None:
        thread = text_of(payload.get("id"))
        session = text_of(payload.get("session_id")) or thread
        parent = text_of(payload.get("parent_thread_id"))
        is_agent = thread != session
        inherited = payload.get("subagent_history_start_ordinal")
        self.state |= present(
            session_id=session,
            agent_id=thread if is_agent else None,
            agent_type=_agent_type(payload) if is_agent else None,
            parent_agent_id=parent if is_agent and parent != session else None,
            parent_is_session=(is_agent and parent == session) or None,
            parent_session_id=parent if not is_agent else None,
            forked_from=payload.get("forked_from_id") if not is_agent else None,
            inherited=inherited if isinstance(inherited, int) else None,
            cwd=payload.get("cwd"),
        )

    def _item(
        self, document: Mapping[str, Any], payload: Mapping[str, Any], item: str, at: str | None
    ) -> tuple[MessagePart, ...]:
        passthrough = mapping_of(payload.get("internal_chat_message_metadata_passthrough"))
        key = text_of(payload.get("id")) or self._key(document)
        fields = self._common(passthrough.get("turn_id"))
        fields |= {"kind": "message", "message_id": key}
        if item == "message":
            role = str(payload.get("role"))
            fields |= present(role=role, text=text_in(payload.get("content")))
            if role == "user":
                fields |= {"kind": kind_of(INJECTED, texts_in(payload.get("content")))}
        elif item == "agent_message":
            fields |= present(role="user", kind=item, text=text_in(payload.get("content")))
        elif item == "reasoning":
            fields |= present(role="assistant", thinking=text_in(payload.get("summary")))
            fields |= present(text=text_in(payload.get("content")))
        elif item in _CALLS:
            fields |= {"role": "assistant", "tool_calls": [_call(payload)]}
        elif item in _RESULTS:
            fields |= {"role": "tool", "tool_results": [self._result(payload, key)]}
        else:
            fields |= {"role": "system", "kind": item, "payload": dict(payload)}
        is_copy = self._is_inherited(document)
        if fields["role"] == "assistant" and not is_copy:
            fields |= present(model=self.state.get("model"))
            self.state["last_item"] = key
        return (MessagePart(key, key, fields, at, is_copy=is_copy),)

    def _compaction(
        self, document: Mapping[str, Any], payload: Mapping[str, Any], at: str | None
    ) -> tuple[MessagePart, ...]:
        """Return the summary that stands for what was said before, from here on."""
        if self._is_inherited(document):
            return ()
        key = self._key(document)
        fields = self._common(None) | present(
            role="system", kind="compaction", message_id=key, text=text_of(payload.get("message"))
        )
        return (MessagePart(key, key, fields, at, is_whole=True),)

    def _key(self, document: Mapping[str, Any]) -> str:
        thread = self.state.get("agent_id") or self.state.get("session_id")
        ordinal = document.get("ordinal")
        if isinstance(ordinal, int):
            return f"{thread} {ordinal}"
        # Earlier versions number nothing.
        line = json.dumps(document, sort_keys=True).encode("utf-8", "surrogatepass")
        return f"{thread} {hashlib.blake2b(line, digest_size=16).hexdigest()}"

    def _is_inherited(self, document: Mapping[str, Any]) -> bool:
        ordinal, until = document.get("ordinal"), self.state.get("inherited")
        return isinstance(ordinal, int) and isinstance(until, int) and ordinal < until

    def _usage(self, payload: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        usage = payload.get("usage")
        response = text_of(payload.get("response_id"))
        if not isinstance(usage, Mapping) or response is None:
            return ()
        # A response without an item of its own still costs.
        key = self.state.pop("last_item", None) or response
        fields = self._common(payload.get("turn_id")) | present(
            kind="message", role="assistant", message_id=key, model=self.state.get("model"),
            request_id=response, usage=dict(usage), tokens=_tokens(usage),
        )  # fmt: skip
        return (MessagePart(key, response, fields, at),)

    def _event(self, payload: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        """Read what only an event says: how a call ended, and the tokens of older versions."""
        kind = payload.get("type")
        if kind == "token_count" and not self.state.get("has_usage_records"):
            return self._token_count(mapping_of(payload.get("info")), at)
        if kind == "item_completed" and (end := end_of(payload)) is not None:
            return self._call_end(str(end["tool_use_id"]), end, at)
        return ()

    def _call_end(self, call: str, end: dict[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        """Keep how a call ended for its result, or add it where that came before.

        So it is with a command that went on in the background.
        """
        rows: dict[str, str] = self.state.setdefault("running", {})
        if (key := rows.pop(call, None)) is None:
            ends: dict[str, Any] = self.state.setdefault("ends", {})
            ends[call] = {name: value for name, value in end.items() if name != "output"}
            while len(ends) > _MAX_WAITING:
                ends.pop(next(iter(ends)))
            return ()
        fields = self._common(None) | {"message_id": key, "role": "tool", "tool_results": [end]}
        return (MessagePart(key, f"{key} end", fields, at),)

    def _result(self, payload: Mapping[str, Any], key: str) -> dict[str, Any]:
        call = str(payload.get("call_id"))
        result = result_of(payload)
        end: dict[str, Any] | None = self.state.get("ends", {}).pop(call, None)
        if end is not None:
            return result | end
        if is_running(result):
            rows: dict[str, str] = self.state.setdefault("running", {})
            rows[call] = key
            while len(rows) > _MAX_WAITING:
                rows.pop(next(iter(rows)))
        return result

    def _token_count(self, info: Mapping[str, Any], at: str | None) -> tuple[MessagePart, ...]:
        """Read the tokens of a response as versions before 0.151 tell them, some more than once."""
        total, usage = mapping_of(info.get("total_token_usage")), info.get("last_token_usage")
        count = total.get("total_tokens")
        if not isinstance(usage, Mapping) or count == self.state.get("tokens_so_far"):
            return ()
        self.state["tokens_so_far"] = count
        thread = self.state.get("agent_id") or self.state.get("session_id")
        response = f"{thread} tokens {count}"
        return self._usage({"usage": usage, "response_id": response}, at)

    def _common(self, turn: Any) -> dict[str, Any]:
        state = self.state
        # Once is enough: it is the whole session's.
        links = {n: state.pop(n) for n in ("forked_from", "parent_session_id") if n in state}
        return links | present(
            session_id=state.get("session_id"),
            agent_id=state.get("agent_id"),
            agent_type=state.get("agent_type"),
            parent_agent_id=state.get("parent_agent_id"),
            parent_is_session=state.get("parent_is_session"),
            turn_id=turn or state.get("turn_id"),
            cwd=state.get("cwd"),
        )


def _agent_type(payload: Mapping[str, Any]) -> str | None:
    """Return a subagent's role, or what it is where it was not spawned by the model."""
    kind = mapping_of(payload.get("source")).get("subagent")
    if isinstance(kind, str):
        return text_of(kind)
    subagent = mapping_of(kind)
    spawn = subagent.get("thread_spawn")
    return (
        text_of(mapping_of(spawn).get("agent_role"))
        or text_of(payload.get("agent_role"))
        or text_of(subagent.get("other"))
        # Codex's hooks have this word for an agent without a role.
        or ("default" if isinstance(spawn, Mapping) else None)
    )


def _call(payload: Mapping[str, Any]) -> dict[str, Any]:
    arguments = payload.get("arguments", payload.get("input", payload.get("action")))
    if isinstance(arguments, str):
        # A patch is plain text.
        with suppress(ValueError):
            arguments = json.loads(arguments)
    call = {"tool_use_id": payload.get("call_id"), "name": payload.get("name"), "input": arguments}
    return call | present(namespace=payload.get("namespace"))


def _tokens(usage: Mapping[str, Any]) -> dict[str, int]:
    """Count the tokens of each kind: Codex's input has cached ones, its output the reasoning."""
    number = partial(count_in, usage)
    cache_read, cache_write = number("cached_input_tokens"), number("cache_write_input_tokens")
    return {
        "input": max(0, number("input_tokens") - cache_read - cache_write),
        "cache_read": cache_read,
        "cache_write": cache_write,
        "output": number("output_tokens"),
        "reasoning": number("reasoning_output_tokens"),
    }
