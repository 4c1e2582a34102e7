"""The words of the four services that clients ask: requests read, answers and streams made.

OpenAI's chat completions and responses, Anthropic's messages and Gemini's generateContent.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from clients.script import Call, Said

Json = dict[str, Any]


class Usage(NamedTuple):
    """The tokens of an answer.

    Attributes:
        input: The tokens of the prompt that were not cached.
        cached: The tokens of the prompt that were.
        output: The tokens of the answer.
    """

    input: int
    cached: int
    output: int


class Answer(NamedTuple):
    """What the model says to one request: a text or a call, under an id that no other has."""

    id: str
    model: str
    content: str | Call
    usage: Usage


class Wire(Protocol):
    """One service."""

    name: str

    def tools(self, request: Json) -> dict[str, Json]:
        """Return the tools that a request offers, by their names."""

    def conversation(self, request: Json) -> list[Said]:
        """Return the prompts and the answers in a request, in their order."""

    def document(self, request: Json, answer: Answer) -> Json:
        """Return the body of an answer that is not streamed."""

    def stream(self, request: Json, answer: Answer) -> Iterator[str]:
        """Yield the answer as server-sent events, each with the empty line behind it."""


class Chat:
    """OpenAI's chat completions."""

    name = "chat"

    def tools(self, request: Json) -> dict[str, Json]:
        return {tool["function"]["name"]: tool for tool in request.get("tools") or ()}

    def conversation(self, request: Json) -> list[Said]:
        return [
            Said(message["role"] == "assistant", _text(message.get("content")))
            for message in request.get("messages", ())
            if message.get("role") in {"user", "assistant"}
        ]

    def document(self, request: Json, answer: Answer) -> Json:
        message, reason = self._message(answer)
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return self._head(answer) | {
            "object": "chat.completion", "choices": [choice], "usage": self._usage(answer.usage),
        }  # fmt: skip

    def stream(self, request: Json, answer: Answer) -> Iterator[str]:
        message, reason = self._message(answer)
        for index, call in enumerate(message.get("tool_calls", ())):
            call["index"] = index
        head = self._head(answer) | {"object": "chat.completion.chunk"}
        for delta, end in ((message, None), ({}, reason)):
            yield _data(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]})
        yield _data(head | {"choices": [], "usage": self._usage(answer.usage)})
        yield "data: [DONE]\n\n"

    def _head(self, answer: Answer) -> Json:
        return {"id": answer.id, "created": 1, "model": answer.model}

    def _message(self, answer: Answer) -> tuple[Json, str]:
        if isinstance(answer.content, str):
            return {"role": "assistant", "content": answer.content}, "stop"
        function = {"name": answer.content.tool, "arguments": _arguments(answer.content)}
        call = {"id": f"call_{answer.id}", "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"

    def _usage(self, usage: Usage) -> Json:
        prompt = usage.input + usage.cached
        return {
            "prompt_tokens": prompt, "completion_tokens": usage.output,
            "total_tokens": prompt + usage.output,
            "prompt_tokens_details": {"cached_tokens": usage.cached},
        }  # fmt: skip


class Responses:
    """OpenAI's responses."""

    name = "responses"
    _OUTPUTS: Final = frozenset({"function_call", "custom_tool_call", "reasoning"})

    def tools(self, request: Json) -> dict[str, Json]:
        tools = {}
        for tool in request.get("tools") or ():
            inner = tool.get("tools") if tool.get("type") == "namespace" else None
            for one in inner or (tool,):
                namespace = {"namespace": tool["name"]} if inner else {}
                tools[one.get("name") or one["type"]] = one | namespace
        return tools

    def conversation(self, request: Json) -> list[Said]:
        items = request.get("input", ())
        if isinstance(items, str):
            return [Said(False, items)]
        said: list[Said] = []
        was_answer = False
        for item in items:
            is_answer = item.get("type") in self._OUTPUTS or item.get("role") == "assistant"
            # The items of one answer stand together.
            if is_answer and not was_answer:
                said.append(Said(True, ""))
            elif item.get("role") == "user":
                said.append(Said(False, _text(item.get("content"))))
            was_answer = is_answer
        return said

    def document(self, request: Json, answer: Answer) -> Json:
        prompt = answer.usage.input + answer.usage.cached
        return {
            "id": f"resp_{answer.id}", "object": "response", "created_at": 1,
            "status": "completed", "model": answer.model, "output": [self._item(request, answer)],
            "usage": {
                "input_tokens": prompt,
                "input_tokens_details": {"cached_tokens": answer.usage.cached},
                "output_tokens": answer.usage.output,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": prompt + answer.usage.output,
            },
        }  # fmt: skip

    def stream(self, request: Json, answer: Answer) -> Iterator[str]:
        document = self.document(request, answer)
        item = document["output"][0]
        at = {"output_index": 0}
        begun = document | {"status": "in_progress", "output": []}
        events: list[Json] = [
            {"type": "response.created", "response": begun},
            {"type": "response.output_item.added", **at, "item": item | {"status": "in_progress"}},
        ]
        if item["type"] == "message":
            text = item["content"][0]["text"]
            within = {**at, "item_id": item["id"], "content_index": 0}
            events += [
                {"type": "response.output_text.delta", **within, "delta": text},
                {"type": "response.output_text.done", **within, "text": text},
            ]
        elif item["type"] == "function_call":
            within = {**at, "item_id": item["id"]}
            events += [
                {"type": "response.function_call_arguments.delta", **within,
                 "delta": item["arguments"]},
                {"type": "response.function_call_arguments.done", **within,
                 "arguments": item["arguments"]},
            ]  # fmt: skip
        events += [
            {"type": "response.output_item.done", **at, "item": item},
            {"type": "response.completed", "response": document},
        ]
        for number, event in enumerate(events):
            yield f"event: {event['type']}\n" + _data(event | {"sequence_number": number})

    def _item(self, request: Json, answer: Answer) -> Json:
        if isinstance(answer.content, str):
            content = {"type": "output_text", "text": answer.content, "annotations": []}
            return {"type": "message", "id": f"msg_{answer.id}", "role": "assistant",
                    "status": "completed", "content": [content]}  # fmt: skip
        call = answer.content
        item = {"call_id": f"call_{answer.id}", "name": call.tool, "status": "completed"}
        if isinstance(call.arguments, str):
            return item | {"type": "custom_tool_call", "id": f"ctc_{answer.id}",
                           "input": call.arguments}  # fmt: skip
        tool = self.tools(request).get(call.tool, {})
        item |= {"namespace": tool["namespace"]} if "namespace" in tool else {}
        return item | {"type": "function_call", "id": f"fc_{answer.id}",
                       "arguments": _arguments(call)}  # fmt: skip


class Messages:
    """Anthropic's messages."""

    name = "messages"

    def tools(self, request: Json) -> dict[str, Json]:
        return {tool["name"]: tool for tool in request.get("tools") or ()}

    def conversation(self, request: Json) -> list[Said]:
        return [
            Said(message["role"] == "assistant", _text(message.get("content")))
            for message in request.get("messages", ())
        ]

    def document(self, request: Json, answer: Answer) -> Json:
        is_text = isinstance(answer.content, str)
        return {
            "id": f"msg_{answer.id}", "type": "message", "role": "assistant",
            "model": answer.model, "content": [self._block(answer)],
            "stop_reason": "end_turn" if is_text else "tool_use", "stop_sequence": None,
            "usage": {
                "input_tokens": answer.usage.input, "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": answer.usage.cached,
                "output_tokens": answer.usage.output,
            },
        }  # fmt: skip

    def stream(self, request: Json, answer: Answer) -> Iterator[str]:
        document = self.document(request, answer)
        block = document["content"][0]
        if block["type"] == "text":
            empty = block | {"text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        else:
            empty = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        begun = document | {
            "content": [], "stop_reason": None, "usage": document["usage"] | {"output_tokens": 1},
        }  # fmt: skip
        end = {"stop_reason": document["stop_reason"], "stop_sequence": None}
        events: list[Json] = [
            {"type": "message_start", "message": begun},
            {"type": "content_block_start", "index": 0, "content_block": empty},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": document["usage"]},
            {"type": "message_stop"},
        ]
        for event in events:
            yield f"event: {event['type']}\n" + _data(event)

    def _block(self, answer: Answer) -> Json:
        if isinstance(answer.content, str):
            return {"type": "text", "text": answer.content}
        return {"type": "tool_use", "id": f"toolu_{answer.id}", "name": answer.content.tool,
                "input": answer.content.arguments}  # fmt: skip


class Gemini:
    """Gemini's generateContent."""

    name = "gemini"

    def tools(self, request: Json) -> dict[str, Json]:
        return {
            function["name"]: function
            for tool in request.get("tools") or ()
            for function in tool.get("functionDeclarations", ())
        }

    def conversation(self, request: Json) -> list[Said]:
        return [
            Said(content.get("role") == "model", _text(content.get("parts")))
            for content in request.get("contents", ())
        ]

    def document(self, request: Json, answer: Answer) -> Json:
        prompt = answer.usage.input + answer.usage.cached
        part = {"text": answer.content} if isinstance(answer.content, str) else {
            "functionCall": {"id": f"fc_{answer.id}", "name": answer.content.tool,
                             "args": answer.content.arguments},
        }  # fmt: skip
        content = {"role": "model", "parts": [part]}
        return {
            "candidates": [{"content": content, "index": 0, "finishReason": "STOP"}],
            "modelVersion": answer.model, "responseId": answer.id,
            "usageMetadata": {
                "promptTokenCount": prompt, "candidatesTokenCount": answer.usage.output,
                "cachedContentTokenCount": answer.usage.cached,
                "totalTokenCount": prompt + answer.usage.output,
            },
        }  # fmt: skip

    def stream(self, request: Json, answer: Answer) -> Iterator[str]:
        yield _data(self.document(request, answer))


def _data(document: Json) -> str:
    return f"data: {json.dumps(document)}\n\n"


def _arguments(call: Call) -> str:
    return call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments)


def _text(content: object) -> str:
    """Return the text of a message, without what a tool answered."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, Sequence) else ()
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))
