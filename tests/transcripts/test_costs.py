"""Costs of real transcripts, against a count from their raw lines and the clients' own totals."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.analytics.stats import read_stats
from khive_persist.cli.root import run
from khive_persist.cli.timeline_lines import TimelineLines
from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.models.query import field
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.read import read_session
from khive_persist.sessions.reported_costs import (
    DIFFERENCE,
    ReportedCost,
    reported_costs,
    session_cost,
)
from khive_persist.sessions.timeline.build import build_timeline
from khive_persist.sessions.token_totals import token_totals
from khive_persist.settings import Settings
from khive_persist.transcripts.sync import Sync
from tests.transcripts.test_counts import lines, transcripts

DATA = Path(__file__).parent / "reported"
FORK = DATA / "fork"
ORIGINAL, FORKED = "6bc37d60-7014-4863-961f-96d297d3c876", "ba128cd5-743c-4ba3-86e4-662923f70aa8"
COMPACTED = "444e6bb5-39ff-43ab-a98d-2c078c3974cd"
TOOLS = ("claude-code", "codex", "gemini-cli")
# USD per million tokens: input, cache read, cache write, output. By hand from the pricing pages.
PRICES = {
    "claude-opus-4-8": (5, 0.5, 6.25, 25),
    "claude-haiku-4-5-20251001": (1, 0.1, 1.25, 5),
    "claude-opus-5-5": (4, 0.2, 5, 20),
    "gemini-2.5-pro": (1.25, 0.125, 0, 10),
    "gemini-2.5-flash": (0.3, 0.03, 0, 2.5),
    "gemini-3.1-flash-lite": (0.25, 0.025, 0, 1.5),
    "gemini-2.5-flash-lite": (0.1, 0.01, 0, 0.4),
}


def synced(project: Project, tool: str, paths: list[Path]) -> Project:
    for path in paths:
        Sync(project, Settings(), None).run(path, tool)
    return project


def raw(tool: str, paths: list[Path]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Model and tokens of each answer, straight from the lines."""
    answers: dict[Any, tuple[str, tuple[int, ...]]] = {}
    for path in paths:
        model, chat = "", ""
        for line in lines(path):
            if tool == "claude-code" and line["type"] == "assistant":
                message, used = line["message"], line["message"]["usage"]
                key = message["id"], line.get("requestId")
                names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens",
                         "output_tokens")  # fmt: skip
                answers[key] = message["model"], tuple(used[name] for name in names)
            elif tool == "codex" and line["type"] == "turn_context":
                model = line["payload"]["model"]
            elif tool == "codex" and line["type"] == "token_usage_record":
                used = line["payload"]["usage"]
                read, written = used["cached_input_tokens"], used["cache_write_input_tokens"]
                fresh = used["input_tokens"] - read - written
                counts = fresh, read, written, used["output_tokens"]
                answers[line["payload"]["response_id"]] = model, counts
            elif tool == "gemini-cli":
                chat = line.get("sessionId", chat)
                if "tokens" in line:
                    used = line["tokens"]
                    fresh = used["input"] - used["cached"] + used["tool"]
                    counts = fresh, used["cached"], 0, used["output"] + used["thoughts"]
                    answers[chat, line["id"]] = line["model"], counts
    yield from answers.values()


@pytest.mark.parametrize("tool", TOOLS)
def test_costs_are_those_of_the_raw_lines(project: Project, tool: str) -> None:
    costs: Counter[str] = Counter()
    unpriced: Counter[str] = Counter()
    for model, counts in raw(tool, transcripts(tool)):
        if model in PRICES:
            prices = PRICES[model]
            costs[model] += sum(n * p for n, p in zip(counts, prices, strict=True)) / 1e6  # type: ignore[assignment]
        elif any(counts):
            unpriced[model] += 1
    synced(project, tool, transcripts(tool))

    async def read() -> dict[str | None, tuple[float | None, int]]:
        async with reading(project, CONVERSATIONS) as reader:
            totals = await token_totals(reader, "model", PriceTable())
        return {one.group: (one.cost, one.unpriced) for one in totals if one.cost or one.unpriced}

    found = anyio.run(read)
    assert {model: one[0] for model, one in found.items() if one[0]} == pytest.approx(dict(costs))
    assert {model: one[1] for model, one in found.items() if one[1]} == unpriced


def reported(project: Project, *sessions: str) -> dict[str, ReportedCost]:
    async def read() -> list[ReportedCost]:
        filters = [field("session_id").in_(sessions)] if sessions else []
        async with reading(project, CONVERSATIONS) as reader:
            return await reported_costs(reader, PriceTable(), *filters)

    return {one.session_id: one for one in anyio.run(read)}


@pytest.mark.parametrize("order", [1, -1])
def test_a_session_that_was_resumed_and_one_that_was_forked_cost_what_the_client_says(
    project: Project, order: int
) -> None:
    """Its total goes on over both: 4 answers of 0.0006 USD in one, one more in the fork."""
    synced(project, "claude-code", sorted(FORK.glob("*.jsonl"))[::order])
    found = reported(project)
    assert found[ORIGINAL].reported == pytest.approx(0.0024)
    assert found[FORKED].reported == pytest.approx(0.0006)
    for one in found.values():
        assert one.computed == pytest.approx(one.reported)
        assert one.difference == pytest.approx(0)
    assert reported(project, FORKED) == {FORKED: found[FORKED]}


def test_what_stands_in_no_transcript_is_the_difference(project: Project) -> None:
    """The request of a compaction: the client counts it, and writes no line of it."""
    synced(project, "claude-code", [DATA / "compact.jsonl"])
    states = [line for line in lines(DATA / "compact.jsonl") if line["type"] == "cost-state"]
    (one,) = reported(project).values()
    assert one.reported == states[-1]["totalCostUSD"] == 0.0062416
    assert one.computed == pytest.approx(states[1]["totalCostUSD"])
    assert one.difference == pytest.approx(0.0015594)


def test_stats_and_one_session_show_the_difference(project: Project) -> None:
    synced(project, "claude-code", [DATA / "compact.jsonl", *FORK.glob("*.jsonl")])
    whole = anyio.run(read_stats, project, [], [], "session", PriceTable(), [])
    assert {one.session_id: one.difference for one in whole["reported"]} == pytest.approx(
        {COMPACTED: 0.0015594, ORIGINAL: 0, FORKED: 0}
    )
    assert anyio.run(read_stats, project, [], [], "day", PriceTable(), None)["reported"] == []
    cost = anyio.run(session_cost, project, COMPACTED)
    assert cost == pytest.approx((0.0046822, 0, 0.0062416, 0.0015594))


def test_a_session_that_no_client_reports_has_a_computed_cost_alone(project: Project) -> None:
    synced(project, "codex", transcripts("codex"))
    assert reported(project) == {}
    cost = anyio.run(session_cost, project, "01a1fba8-5999-72e2-af3b-725dbe705173")
    assert (cost.computed, cost.reported, cost.difference) == (None, None, None)
    assert cost.unpriced > 0


@pytest.mark.parametrize(
    "command", [["stats"], ["show", COMPACTED], ["doctor", "--session", COMPACTED]]
)
def test_a_difference_is_explained(
    project: Project, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    synced(project, "claude-code", [DATA / "compact.jsonl"])
    run(["--dir", str(project.root), *command])
    assert DIFFERENCE in capsys.readouterr().out


def test_show_says_how_much_has_no_price(project: Project, tmp_path: Path) -> None:
    used = {"input_tokens": 1_000_000, "output_tokens": 0}
    path = tmp_path / "s.jsonl"
    path.write_text("".join(
        json.dumps({
            "type": "assistant", "uuid": f"u{n}", "requestId": f"r{n}", "sessionId": "s",
            "timestamp": f"2026-11-20T10:00:0{n}.000Z",
            "message": {"id": f"m{n}", "model": model, "usage": used,
                        "content": [{"type": "text", "text": "a"}]},
        }) + "\n"
        for n, model in enumerate(["claude-opus-4-8", "nobody-knows"])
    ))  # fmt: skip
    synced(project, "claude-code", [path])
    entries = build_timeline(anyio.run(read_session, project.root, "s"), PriceTable())
    assert [(entry.cost, entry.unpriced) for entry in entries] == [(5, 0), (5, 1)]
    timeline = TimelineLines()
    last = [line for entry in entries for line in timeline.render(entry)][-1]
    assert "[2,000,000 tokens, $5.0000 + 1 unpriced]" in last
