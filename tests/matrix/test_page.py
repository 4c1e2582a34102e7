"""The page of the matrix says what was run, what failed and what was not run, each by its name."""

from pathlib import Path

import pytest

from clients import results
from clients.comparison import Events, Tokens
from clients.known import CLIENTS, NOT_RUN
from clients.results import ClientResult, Result
from clients.scenarios import SCENARIOS
from clients.table import page
from clients.wire import Usage
from khive_persist.tools import TOOLS

ROOT = Path(__file__).parents[2]
GOOD = Result(
    "done", is_counted=True, events=Events(1_234, 1_234, 1_234),
    tokens=Tokens(Usage(10, 2, 3), Usage(0, 0, 0), Usage(10, 2, 3)), messages=4, cost=0.25,
)  # fmt: skip


def row(text: str, beginning: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"| {beginning} |")]
    return found


def made(**clients: ClientResult) -> str:
    named = {name.replace("_", "-"): result for name, result in clients.items()}
    return page(CLIENTS, NOT_RUN, SCENARIOS, named)


def test_a_client_that_holds_has_its_sums() -> None:
    text = made(codex=ClientResult("1.2.3", "2026-11-29", results={"prompt": GOOD, "tool": GOOD}))
    missing = len(SCENARIOS) - 2
    cells = [cell.strip() for cell in row(text, "Codex").split("|")]
    assert cells[2:11] == ["1.2.3", "2026-11-29", f"2 of 2 hold, {missing} not asked for",
                           "2,468", "2,468", "2,468", "0", "8", "30"]  # fmt: skip
    assert "0.5000 USD" in cells[12]


def test_failed_and_not_run_never_look_alike() -> None:
    failed = Result("failed", "events differ", is_counted=True, events=Events(3, 2, 2))
    missing = Result("not run", "it has no subagent")
    text = made(codex=ClientResult("1", "2026-11-29", results={
        "prompt": GOOD, "tool": failed, "subagent": missing,
    }))  # fmt: skip
    assert "**1 of 2 hold**" in row(text, "Codex")
    assert "**failed**: events differ" in row(text, "a tool that works")
    assert "not run: it has no subagent" in row(text, "a subagent")
    assert "not asked for" in row(text, "an edit")


def test_a_client_that_could_not_be_installed_says_why() -> None:
    text = made(codex=ClientResult(day="2026-11-29", reason="1.0.0 could not be installed: no npm"))
    assert "**not run** | 2026-11-29 | 1.0.0 could not be installed: no npm" in row(text, "Codex")
    assert "it was never asked for" in row(text, "Claude Code")
    reason = "2.0.0 could not be installed: npm has no x@2.0.0"
    text = made(codex=ClientResult("1.0.0", "2026-11-29", reason, {"prompt": GOOD}))
    assert f"### Codex 1.0.0\n\n{reason}.\n\n|" in text
    for title, reason in NOT_RUN.items():
        assert reason in row(text, title)


def test_every_client_has_a_row() -> None:
    assert {client.title for client in CLIENTS} | set(NOT_RUN) == {
        tool.title for tool in TOOLS.values()
    }
    assert {client.name for client in CLIENTS} <= set(TOOLS)


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    recorded = {"codex": ClientResult("1", "2026-11-29", results={"prompt": GOOD})}
    results.write(path, recorded)
    assert results.read(path) == recorded
    assert results.read(tmp_path / "none.json") == {}


def test_the_page_in_the_documents_is_that_of_the_recorded_results() -> None:
    recorded = results.read(results.RECORDED)
    if not recorded:
        pytest.skip("no results are recorded")
    text = (ROOT / "docs" / "reference" / "clients.md").read_text("utf-8")
    assert text == page(CLIENTS, NOT_RUN, SCENARIOS, recorded)
