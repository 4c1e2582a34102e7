"""The model of the matrix answers as each service does, by its script, and counts what it tells."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.mock_model import Model, serving
from clients.script import DONE, Call, tagged

CALL = Call("shell", {"command": "echo é"})
PROMPT = tagged("one", "go")
TOOL = {"name": "shell", "parameters": {}}


@pytest.fixture
def model(tmp_path: Path) -> Iterator[Model]:
    with serving({"one": [CALL, "Fine."]}, tmp_path / "log.jsonl") as model:
        yield model


def ask(model: Model, path: str, body: dict[str, Any]) -> str:
    request = urllib.request.Request(
        f"http://127.0.0.1:{model.server_port}{path}",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return str(response.read().decode())


def streamed(text: str) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def chat(*, stream: bool, answered: bool = False) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": PROMPT}]
    if answered:
        messages += [{"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "é"}]
    return {"model": "m", "stream": stream, "messages": messages,
            "tools": [{"type": "function", "function": TOOL}]}  # fmt: skip


def test_chat_completions(model: Model) -> None:
    path = "/v1/chat/completions"
    whole = json.loads(ask(model, path, chat(stream=False)))
    call = whole["choices"][0]["message"]["tool_calls"][0]
    assert json.loads(call["function"]["arguments"]) == CALL.arguments
    assert whole["choices"][0]["finish_reason"] == "tool_calls"
    parts = streamed(ask(model, path, chat(stream=True, answered=True)))
    assert parts[0]["choices"][0]["delta"]["content"] == "Fine."
    assert parts[1]["choices"][0]["finish_reason"] == "stop"
    usage = parts[2]["usage"]
    told = model.told[1].usage
    assert usage["prompt_tokens"] == told.input + told.cached
    assert usage["prompt_tokens_details"] == {"cached_tokens": told.cached}
    assert usage["completion_tokens"] == told.output


def test_responses(model: Model) -> None:
    body: dict[str, Any] = {"model": "m", "input": [{"role": "user", "content": PROMPT}],
            "tools": [{"type": "namespace", "name": "n", "tools": [TOOL]}]}  # fmt: skip
    item = json.loads(ask(model, "/v1/responses", body))["output"][0]
    assert (item["type"], item["name"], item["namespace"]) == ("function_call", "shell", "n")
    body |= {"stream": True, "input": [
        *body["input"], {"type": "reasoning"}, item,
        {"type": "function_call_output", "call_id": item["call_id"], "output": "é"},
    ]}  # fmt: skip
    events = streamed(ask(model, "/v1/responses", body))
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "Fine."


def test_messages(model: Model) -> None:
    prompt = {"role": "user", "content": [{"type": "text", "text": PROMPT}]}
    body: dict[str, Any] = {"model": "m", "messages": [prompt], "tools": [TOOL], "stream": True}
    events = streamed(ask(model, "/v1/messages?beta=true", body))
    delta = next(event["delta"] for event in events if event["type"] == "content_block_delta")
    assert json.loads(delta["partial_json"]) == CALL.arguments
    # What the tool answered has a tag in it, which is no prompt.
    result = {"type": "tool_result", "tool_use_id": "t", "content": tagged("other", "")}
    body |= {"stream": False, "messages": [
        prompt, {"role": "assistant", "content": []}, {"role": "user", "content": [result]},
    ]}  # fmt: skip
    answer = json.loads(ask(model, "/v1/messages", body))
    assert answer["content"] == [{"type": "text", "text": "Fine."}]
    assert answer["usage"]["cache_read_input_tokens"] == model.told[1].usage.cached


def test_generate_content(model: Model) -> None:
    contents: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": PROMPT}]}]
    body = {"contents": contents, "tools": [{"functionDeclarations": [TOOL]}]}
    path = "/v1beta/models/g-1:streamGenerateContent?alt=sse"
    (part,) = streamed(ask(model, path, body))
    call = part["candidates"][0]["content"]["parts"][0]["functionCall"]
    assert (call["name"], call["args"]) == (CALL.tool, CALL.arguments)
    contents += [{"role": "model", "parts": []}, {"role": "user", "parts": []}]
    answer = json.loads(ask(model, "/v1beta/models/g-1:generateContent", body))
    assert answer["candidates"][0]["content"]["parts"] == [{"text": "Fine."}]
    assert [one.model for one in model.told] == ["g-1", "g-1"]


def test_each_answer_is_counted_once_with_tokens_of_its_own(model: Model, tmp_path: Path) -> None:
    ask(model, "/v1/chat/completions", chat(stream=False))
    aside = {"messages": [{"role": "user", "content": f"A title for: {PROMPT}"}]}
    ask(model, "/v1/chat/completions", aside)
    ask(model, "/v1/messages/count_tokens", {})
    assert [(one.script, one.step, one.answer) for one in model.told] == [
        ("one", 0, "shell"), ("", 0, ""),
    ]  # fmt: skip
    assert len({sum(one.usage) for one in model.told}) == 2
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [
        "/v1/chat/completions", "/v1/chat/completions", "/v1/messages/count_tokens",
    ]  # fmt: skip


def test_a_call_of_a_tool_that_is_not_offered_is_a_text(model: Model) -> None:
    body = chat(stream=False) | {"tools": [{"type": "function", "function": {"name": "other"}}]}
    answer = json.loads(ask(model, "/v1/chat/completions", body))
    assert answer["choices"][0]["message"]["content"] == "There is no tool shell."


def test_behind_its_end_a_script_is_done(model: Model) -> None:
    body = chat(stream=False)
    body["messages"] += [{"role": "assistant", "content": "x"}] * 2
    answer = json.loads(ask(model, "/v1/chat/completions", body))
    assert answer["choices"][0]["message"]["content"] == DONE
