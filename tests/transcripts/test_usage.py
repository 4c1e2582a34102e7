"""What transcripts say of usage, priced: side models, searches, speeds, older versions."""

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

from khive_persist.models.purposes import CONVERSATIONS
from khive_persist.opening import reading
from khive_persist.prices import PriceTable
from khive_persist.project import Project
from khive_persist.sessions.token_totals import By, TokenTotal, token_totals
from khive_persist.settings import Settings
from khive_persist.transcripts.discovery import tool_of
from khive_persist.transcripts.sync import Sync

DATA = Path(__file__).parent / "usage"
ROLLOUT = "rollout-2026-03-01T10-00-00-019c0000-0000-7000-8000-000000000001.jsonl"


def synced(project: Project, path: Path, tool: str = "claude-code") -> dict[str | None, TokenTotal]:
    Sync(project, Settings(), None).run(path, tool)
    return totals(project)


def totals(project: Project, by: By = "model") -> dict[str | None, TokenTotal]:
    async def read() -> list[TokenTotal]:
        async with reading(project, CONVERSATIONS) as reader:
            return await token_totals(reader, by, PriceTable())

    return {total.group: total for total in anyio.run(read)}


def assistant(number: int, usage: dict[str, Any], model: str = "claude-opus-4-8") -> dict[str, Any]:
    return {
        "type": "assistant",
        "uuid": f"u{number}",
        "requestId": f"r{number}",
        "sessionId": "s",
        "timestamp": f"2026-11-20T10:00:0{number}.000Z",
        "message": {"id": f"m{number}", "role": "assistant", "model": model, "usage": usage,
                    "content": [{"type": "text", "text": "a"}]},
    }  # fmt: skip


def written(path: Path, *documents: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def test_an_advisors_tokens_count_for_its_own_model(project: Project) -> None:
    by_model = synced(project, DATA / "advisor.jsonl")
    advisor, own = by_model["claude-opus-4-8"], by_model["claude-sonnet-4-6"]
    assert (advisor.input, advisor.output) == (160_000, 8_000)
    assert advisor.cost == pytest.approx(1.0)
    assert (own.input, own.cache_write, own.cache_read, own.output) == (2, 8_000, 200_000, 500)
    assert own.cost == pytest.approx((2 * 3 + 8_000 * 3.75 + 200_000 * 0.3 + 500 * 15) / 1e6)


def test_a_compaction_counts_besides_its_message(project: Project, tmp_path: Path) -> None:
    iterations = [
        {"type": "compaction", "input_tokens": 1_000, "output_tokens": 100},
        {"type": "message", "input_tokens": 10, "output_tokens": 5},
    ]
    usage = {"input_tokens": 10, "output_tokens": 5, "iterations": iterations}
    path = written(tmp_path / "s.jsonl", assistant(1, usage), assistant(1, usage) | {"uuid": "x"})
    (total,) = synced(project, path).values()
    assert (total.messages, total.input, total.output) == (2, 1_010, 105)


def test_searches_of_the_web_are_in_the_cost(project: Project) -> None:
    (total,) = synced(project, DATA / "web_searches.jsonl").values()
    assert total.cost == pytest.approx(0.0045 + 10 * 0.01)


def test_cache_of_an_hour_and_the_fast_mode_have_their_own_prices(
    project: Project, tmp_path: Path
) -> None:
    cached = {
        "input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 3_000_000,
        "cache_creation": {"ephemeral_1h_input_tokens": 1_000_000},
    }  # fmt: skip
    fast = {"input_tokens": 1_000_000, "output_tokens": 0, "speed": "fast"}
    usual = {"input_tokens": 1_000_000, "output_tokens": 0, "speed": "standard"}
    path = written(
        tmp_path / "s.jsonl", assistant(1, cached), assistant(2, fast), assistant(3, usual)
    )
    (total,) = synced(project, path).values()
    assert total.cost == pytest.approx(2 * 6.25 + 10 + 10 + 5)


def test_a_fast_mode_without_a_price_is_counted_as_unpriced(
    project: Project, tmp_path: Path
) -> None:
    fast = {"input_tokens": 1_000_000, "output_tokens": 0, "speed": "fast"}
    path = written(tmp_path / "s.jsonl", assistant(1, fast, "claude-sonnet-4-6"))
    (total,) = synced(project, path).values()
    assert (total.cost, total.unpriced) == (None, 1)


def test_the_length_of_a_prompt_is_that_of_one_request(project: Project, tmp_path: Path) -> None:
    # Above 100,000 tokens this model costs five times as much; neither request is.
    part = {"type": "message", "input_tokens": 60_000, "output_tokens": 0}
    usage = {"input_tokens": 120_000, "output_tokens": 0}
    several = usage | {"iterations": [part, part]}
    path = written(
        tmp_path / "s.jsonl",
        assistant(1, several, "claude-haiku-5-5"),
        assistant(2, usage, "claude-haiku-5-5"),
    )
    (total,) = synced(project, path).values()
    assert total.cost == pytest.approx(120_000 * (0.1 + 0.5) / 1e6)


def test_codex_before_its_usage_records_tells_tokens_by_events(project: Project) -> None:
    (total,) = synced(project, DATA / ROLLOUT, "codex").values()
    assert total.group == "gpt-5-codex"
    assert (total.input, total.cache_read, total.output) == (1_000, 1_200, 70)
    assert total.cost == pytest.approx((1_000 * 1.25 + 1_200 * 0.125 + 70 * 10) / 1e6)


def test_a_count_that_codex_repeats_counts_once(project: Project, tmp_path: Path) -> None:
    lines = (DATA / ROLLOUT).read_text().splitlines()
    path = tmp_path / ROLLOUT
    path.write_text("\n".join([*lines[:5], lines[4], *lines[5:], lines[-1], ""]))
    assert tool_of(path) == "codex"
    (total,) = synced(project, path, "codex").values()
    assert (total.input, total.cache_read, total.output) == (1_000, 1_200, 70)
