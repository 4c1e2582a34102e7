"""Payloads are text: nothing of them runs, loads or leads away; the page asks only its server."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from khive_persist.models.focus_chain import FocusChain
from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.outcome import Outcome
from khive_persist.models.planner_session import PlannerSession
from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import BEGAN
from tests.factories import record as at
from tests.factories import save_many
from tests.server.process import Server

# Sessions besides, of the first projects.
MORE: Final = 2
EVIL: Final = [
    "</script><script>alert(1)</script><!--<script>",
    "${alert(5)} {@html alert(6)} {{7*7}} {a|b} %s %d",
    "<img src=x onerror=alert(2)>]]><svg onload=alert(3)>",
    "javascript:alert(4)",
    "\u2028\u2029\x1b[31mred\x1b]0;title\x07 \U0001f600 é \u202egnp.exe\u2066 right to left \u2069",
    "http://evil.test/track.png",
    '"><iframe src="http://evil.test/"></iframe>\' onmouseover=\'alert(7)',
    "../../etc/passwd?x=1#y",
    "__proto__",
    "WithoutASpace" * 30,
]


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        project = new_project(tmp_path_factory.mktemp("evil"))
        save_many(project, [each for n, text in enumerate(EVIL) for each in everywhere(n, text)])
        save_many(project, [record for n in range(MORE) for record in once_more(n)])
        with Server(project) as server:
            yield server


def everywhere(number: int, text: str) -> list[Node]:
    """Records with this text in every field that the dashboard shows."""
    when = BEGAN + timedelta(minutes=number)
    # An id with a slash has no address in the API.
    session = text.replace("/", "|")
    about = {"session_id": session, "tool": text}
    call = {"tool_use_id": text, "name": text, "input": {"file_path": text, "old_string": text,
                                                         "new_string": text + "x"}}  # fmt: skip
    items = [{"text": text, "status": "in_progress"}]
    return [
        at(HookEvent, when, event_type=text, tool_name=text, command=text, output=text, cwd=text,
           error=text, success=False, model=text, file_paths=[text],
           session_id=session, tool="codex"),
        at(Message, when, role="user", kind="message", text=text, cwd=text, **about),
        at(Message, when, role="assistant", kind="message", text=text, model=text, agent_id=text,
           tool_calls=[call], thinking=text, cwd=text, tokens={"input": 5, "output": 5}, **about),
        at(Message, when, role="tool", kind="message",
           tool_results=[{"tool_use_id": text, "output": text, "is_error": True}], **about),
        at(FocusChain, when, items=items, agent_id=text, **about),
        at(PlannerSession, when, session_id=session, task_description=text, complexity=text,
           workflow_pattern=text, confidence=0.5, planning_cost=0.1),
        at(Outcome, when, session_id=session, verdict="success", note=text),
    ]  # fmt: skip


def once_more(number: int) -> list[Node]:
    """One more session of a project, with a failure: two each are enough to be compared."""
    when = BEGAN + timedelta(hours=1, minutes=number)
    about = {"session_id": f"more-{number}", "tool": EVIL[number], "cwd": EVIL[number]}
    tokens = {"input": 90 + 5 * number, "output": 5}
    return [
        at(Message, when, role="user", kind="message", text="go on", **about),
        at(Message, when, role="assistant", kind="message", text="done", tokens=tokens, **about),
        at(HookEvent, when, event_type="post_command", tool_name=EVIL[number], success=False,
           error=EVIL[number], session_id=about["session_id"], tool="codex"),
    ]  # fmt: skip


def fits(page: Page) -> None:
    """Nothing pushes the page sideways, however long its words are."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, page.url


def shown_whole(page: Page) -> None:
    """Open all that is folded, and look at every chart."""
    expect(page.locator("figure canvas").first).to_be_visible()
    for chart in page.locator("figure .chart").all():
        chart.hover()
    for summary in page.locator("summary").all():
        summary.click()


def test_no_payload_is_anything_but_text(browser: Browser, evil: Server) -> None:
    with Opened.of(browser, evil) as opened:
        opened.log_in(evil.token)
        for by in ("tool", "model", "project"):
            page = opened.go(f"#/?by={by}")
            expect(page.locator("figure canvas")).to_have_count(4)
            shown_whole(page)
            fits(page)
        for hash, count in {
            "#/sessions": len(EVIL) + MORE,
            "#/events": len(EVIL) + MORE,
            "#/plans": len(EVIL),
        }.items():
            page = opened.go(hash)
            expect(page.locator("tbody tr[data-index]")).to_have_count(count)
            assert EVIL[1] in page.locator("tbody").last.inner_text()
        opened.go("#/health")
        expect(page.locator("main")).to_contain_text("conversations.db")
        page = opened.go("#/sessions")
        links = page.locator("tbody tr[data-index] a")
        expect(links).to_have_count(len(EVIL) + MORE)
        urls = [str(link.get_attribute("href")) for link in links.all()]
        assert all(url.startswith("#/sessions/") for url in urls)
        groups = "&".join(f"group={quote(text)}" for text in EVIL[:MORE])
        opened.go(f"#/compare?by=project&min_n=2&metric=tokens&metric=cost&{groups}")
        expect(page.get_by_role("region", name="In words")).to_contain_text(EVIL[1])
        shown_whole(page)
        opened.go(f"#/report?at={BEGAN:%Y-%m-%d}")
        shown_whole(page)
        failed = page.get_by_role("region", name="Failures, table").locator("tbody tr")
        expect(failed).to_have_count(MORE)
        for number, text in enumerate(sorted(EVIL[:MORE])):
            expect(failed.nth(number).locator("th")).to_contain_text(text)
            expect(failed.nth(number).locator("code")).to_have_text(text)
        for url in urls:
            opened.follow("#/sessions")
            expect(page.locator("[role=option]")).to_have_count(0)
            opened.follow(url + "?thinking=true")
            expect(page.locator("[role=option]").first, url).to_be_visible()
            expect(page.locator("dl.facts"), url).to_be_visible()
            fits(page)
            for step in range(page.locator("[role=option]").count()):
                page.keyboard.press("ArrowRight")
                assert page.get_by_label("The entry", exact=True).inner_text(), (url, step)
        assert page.evaluate("document.querySelectorAll('img, iframe, svg, object').length") == 0
        assert page.evaluate("document.scripts.length") == 1
        assert opened.dialogs == []
        assert opened.elsewhere == []
        assert opened.errors == []


def test_an_address_is_text_too(browser: Browser, filled: Server) -> None:
    with Opened.of(browser, filled) as opened:
        opened.log_in(filled.token)
        page = opened.go("#/sessions")
        for text in EVIL:
            page.get_by_label("Find").fill("")
            expect(page.locator("tbody tr[data-index]").first).to_be_visible()
            page.get_by_label("Find").fill(text)
            expect(page.locator("main")).to_contain_text("No session passes these filters")
            page.reload()
            expect(page.locator("main")).to_contain_text("No session passes these filters")
            expect(page.get_by_label("Find")).to_have_value(text)
        opened.go("#/%E0%A4%A/<img src=x onerror=alert(1)>")
        expect(page.locator("h1")).to_have_text("There is no such page")
        assert opened.dialogs == []
        assert opened.elsewhere == []
        assert opened.errors == []


def test_a_script_that_is_put_into_the_page_does_not_run(opened: Opened) -> None:
    page = opened.go("#/health")
    expect(page.locator("main")).to_contain_text("conversations.db")
    page.evaluate("""() => {
      const script = document.createElement('script');
      script.textContent = 'alert(1)';
      document.body.append(script);
      const image = document.createElement('img');
      image.src = 'http://evil.test/x.png';
      document.body.append(image);
    }""")
    page.wait_for_function("document.querySelector('img').complete")
    assert opened.dialogs == []
    refused = [said for said in opened.errors if "Content Security Policy" in said]
    assert len(refused) == len(opened.errors) >= 2
    opened.errors.clear()
    opened.elsewhere.clear()
