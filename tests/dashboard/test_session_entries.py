"""An entry of a session's page: what went in and out, Markdown, diffs, records, links, verdicts."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.planner_session import PlannerSession
from khive_persist.server.http.tokens import Tokens
from tests.chromium import scrubbing_seconds
from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import BEGAN, MODEL
from tests.factories import record as at
from tests.factories import save_many
from tests.server.process import Server
from tests.stored import contents

ENTRIES: Final = 6_000
HUGE: Final = "0123456789" * 100_000 + "\nthe needle at its end"
MARKDOWN: Final = """# A heading
Some **bold** words and `code` <script>alert(1)</script> <img src=x onerror=alert(2)>

- one
- [ ] two

```python
print("<b>no tag</b>")
```

| a | b |
|---|--:|
| 1 | 2 |

[a link](javascript:alert(3)) ![image](http://evil.test/x.png) <http://evil.test/>
"""


@pytest.fixture(scope="module")
def odd(first_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = new_project(tmp_path_factory.mktemp("odd"))
    save_many(project, [*odd_session(), *huge_session()])
    with Server(project) as server:
        yield server


@pytest.fixture
def page(browser: Browser, odd: Server) -> Iterator[Page]:
    with Opened.of(browser, odd) as opened:
        opened.log_in(odd.token)
        yield opened.go("#/sessions/odd")
        assert opened.errors == []
        assert opened.elsewhere == []
        assert opened.dialogs == []


def odd_session() -> list[Node]:
    about = {"session_id": "odd", "tool": "claude-code", "kind": "message"}

    def called(second: int, id: str, name: str, asked: Any) -> Node:
        call = {"tool_use_id": id, "name": name, "input": asked}
        return at(Message, BEGAN + timedelta(seconds=second), role="assistant", model=MODEL,
                  tool_calls=[call], tokens={"input": 500, "output": 100}, **about)  # fmt: skip

    def answered(second: int, id: str, output: Any, *, is_error: bool = False) -> Node:
        result = {"tool_use_id": id, "output": output, "is_error": is_error}
        when = BEGAN + timedelta(seconds=second)
        return at(Message, when, role="tool", tool_results=[result], **about)

    return [
        at(PlannerSession, BEGAN, session_id="odd", task_description="Mend it",
           complexity="complex", confidence=0.5, planning_cost=0.001),
        at(HookEvent, BEGAN + timedelta(seconds=1), event_type="prompt_submitted",
           session_id="odd", tool="claude-code", payload={"prompt": "a prompt of an event alone"}),
        at(Message, BEGAN + timedelta(seconds=2), role="assistant", text=MARKDOWN, model=MODEL,
           tokens={"input": 1_000, "output": 50, "cache_read": 7}, **about),
        called(3, "t1", "Edit", {"file_path": "/src/a.py", "old_string": "old line",
                                 "new_string": "new line"}),
        answered(4, "t1", "edited"),
        called(5, "t2", "Bash", {"command": "cat all"}),
        answered(65, "t2", HUGE, is_error=True),
        called(70, "t3", "\U0001f600 \u202egnp.exe שלום", {"a": [1, None], "rtl": "مرحبا"}),
        called(75, "t4", "Write", {"file_path": "/src/b.py", "content": "first\n" * 40 + "last"}),
        answered(76, "t4", ""),
    ]  # fmt: skip


def huge_session() -> list[Node]:
    about = {"session_id": "huge", "tool": "codex", "kind": "message"}
    return [
        at(Message, BEGAN + timedelta(seconds=number), role="user", text=f"line {number}\n" * 20,
           **about)
        for number in range(ENTRIES)
    ]  # fmt: skip


def choose(page: Page, text: str) -> None:
    page.locator("[role=option]", has_text=text).first.click()


def test_an_entry_shows_what_went_in_and_what_came_out(page: Page) -> None:
    entry = page.get_by_label("The entry", exact=True)
    expect(page.locator("[role=option]")).to_have_count(7)
    choose(page, "a prompt of an event alone")
    expect(entry).to_contain_text("a prompt of an event alone")
    choose(page, "Edit /src/a.py")
    expect(entry.locator(".added")).to_have_text(re.compile(r"^\+new line"))
    expect(entry.locator(".removed")).to_have_text(re.compile("^-old line"))
    expect(entry.get_by_label("Out", exact=True)).to_contain_text("edited")
    facts = entry.locator("dl")
    for text in ("main", MODEL, "600 tokens, $0.0050", "500 input", "/src/a.py", "1.0 s"):
        expect(facts).to_contain_text(text)
    choose(page, "Write /src/b.py")
    expect(entry.locator(".added")).to_have_count(41)
    expect(entry.get_by_label("Out", exact=True)).to_contain_text("empty")
    choose(page, "gnp.exe")
    expect(entry).to_contain_text("[1, null]")
    expect(entry).to_contain_text("مرحبا")
    expect(entry).to_contain_text("No result is recorded")
    choose(page, "Bash cat all")
    output = entry.get_by_label("Out: failed")
    expect(output).to_contain_text("1,000,022 characters")
    assert len(output.locator("pre").text_content() or "") == 20_000
    output.get_by_role("button", name="Show all").click()
    expect(output.locator(".more")).to_have_count(0)
    assert output.locator("pre").text_content() == HUGE


def test_markdown_has_its_form_and_is_text(page: Page) -> None:
    choose(page, "A heading")
    entry = page.get_by_label("The entry", exact=True)
    expect(entry.locator(".markdown h3")).to_have_text("A heading")
    expect(entry.locator(".markdown strong")).to_have_text("bold")
    expect(entry.locator(".markdown li")).to_have_count(2)
    expect(entry.locator(".markdown pre")).to_have_text('print("<b>no tag</b>")')
    expect(entry.locator(".markdown td.number")).to_have_text("2")
    for text in ("<script>alert(1)</script>", "javascript:alert(3)", "http://evil.test/x.png"):
        expect(entry.locator(".markdown")).to_contain_text(text)
    assert entry.locator(".markdown :is(a, img, script, b)").count() == 0
    entry.get_by_role("button", name="Formatted").click()
    expect(entry.locator("pre").first).to_have_text(MARKDOWN.strip())


def test_records_are_fetched_when_they_are_unfolded_and_copied_whole(
    page: Page, odd: Server
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, "Bash cat all")
    entry = page.get_by_label("The entry", exact=True)
    expect(entry.get_by_label("Out: failed")).to_be_visible()
    assert not any("/records" in url for url in asked)
    entry.locator("summary").click()
    expect(entry.locator(".record")).to_have_count(2)
    last = entry.locator(".record").last
    assert len(last.locator("pre").inner_text()) == 20_000
    last.get_by_role("button", name="Copy").click()
    expect(entry.locator(".notice")).to_have_text("copied")
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["content"] == contents(odd.project, "conversations.db")[copied["id"]]


def test_what_comes_after_its_page_was_left_reads_nothing_of_it(
    browser: Browser, odd: Server
) -> None:
    with Opened.of(browser, odd) as opened:
        opened.log_in(odd.token)
        held: list[Route] = []
        opened.page.route("**/markdown-*.js", lambda route: held.append(route))
        with opened.page.expect_request("**/markdown-*.js"):
            page = opened.go("#/sessions/odd")
            choose(page, "a prompt of an event alone")
        # Of an entry that is no text nobody asks the page's text: it is still of the one before.
        choose(page, "Edit /src/a.py")
        expect(page.get_by_label("The entry", exact=True)).to_contain_text("old line")
        opened.follow("#/sessions")
        expect(page.locator("[role=option]")).to_have_count(0)
        with page.expect_event("requestfinished"):
            held[0].continue_()
        page.evaluate("url => import(url)", held[0].request.url)
        assert opened.errors == []


def test_a_search_is_broken_off_when_its_page_is_left(page: Page) -> None:
    held: list[Route] = []
    page.route("**/entries?*", lambda route: held.append(route))
    with page.expect_request("**/entries?*"):
        page.get_by_placeholder("text, then Enter").fill("needle")
        page.keyboard.press("Enter")
    with page.expect_event("requestfailed"):
        page.goto(page.url.split("#")[0] + "#/sessions")


def test_what_was_about_to_be_remembered_is_not_of_the_page_that_was_gone_to(
    browser: Browser, odd: Server
) -> None:
    with Opened.of(browser, odd) as opened:
        opened.log_in(odd.token)
        held: list[Route] = []
        opened.page.route("**/Events-*.js", lambda route: held.append(route))
        page = opened.go("#/sessions/odd")
        expect(page.locator("[role=option]").first).to_be_visible()
        page.clock.install()
        page.keyboard.press("j")
        with page.expect_request("**/Events-*.js"):
            opened.follow("#/events")
        page.clock.run_for(1_000)
        assert page.url.endswith("#/events")
        held[0].continue_()
        expect(page.locator("h1")).to_have_text("Events")
        assert page.url.endswith("#/events")
        assert opened.errors == []


def test_a_link_leads_to_the_entry_and_keys_to_the_others(page: Page, odd: Server) -> None:
    story = page.request.get(f"{odd.url}/v1/sessions/odd/story").json()
    [failed] = [one["id"] for one in story["entries"] if one["title"] == "Bash cat all"]
    head = page.get_by_label("The entry", exact=True).locator("h2")
    expect(head).to_have_text("Mend it")
    expect(page.locator("a", has_text="The plan as a whole")).to_have_attribute(
        "href", re.compile("^#/plans/.+")
    )
    page.keyboard.press("j")
    expect(head).to_have_text("a prompt of an event alone")
    page.keyboard.press("k")
    expect(head).to_have_text("Mend it")
    page.keyboard.press("n")
    expect(head).to_have_text("Bash cat all")
    page.keyboard.press("n")
    expect(page.locator(".controls .notice")).to_have_text("no failure after this")
    page.keyboard.press("P")
    expect(head).to_have_text("a prompt of an event alone")
    page.keyboard.press("i")
    page.wait_for_function("document.activeElement.tagName === 'INPUT'")
    page.locator(":focus").fill("THE NEEDLE")
    page.keyboard.press("Enter")
    expect(page.locator(".controls .notice")).to_have_text("1 of 1 found")
    expect(head).to_have_text("Bash cat all")
    expect(page).to_have_url(re.compile(f"entry={failed}$"))
    page.reload()
    expect(head).to_have_text("Bash cat all")
    page.goto(page.url.split("?")[0] + "?entry=0123")
    expect(page.locator(".controls .notice")).to_have_text(re.compile("not in the session"))


def test_the_time_axis_is_zoomed_by_keys_buttons_and_a_stretch(page: Page) -> None:
    zoomed = page.locator(".brush .window")
    expect(page.locator("[role=option]").first).to_be_visible()
    expect(zoomed).to_have_count(0)
    page.keyboard.press("+")
    expect(zoomed).to_have_attribute("style", re.compile(r"width: 50%"))
    page.get_by_role("button", name="Zoom in").click()
    expect(zoomed).to_have_attribute("style", re.compile(r"width: 25%"))
    # Who goes on is still seen on it.
    page.keyboard.press("Escape")
    page.get_by_label("Position in the session").focus()
    page.keyboard.press("End")
    left = re.compile(r"left: 75%")
    expect(zoomed).to_have_attribute("style", left)
    page.keyboard.press("0")
    expect(zoomed).to_have_count(0)
    strip = page.locator(".brush canvas").bounding_box()
    assert strip is not None
    y = strip["y"] + 10
    page.mouse.move(strip["x"] + strip["width"] * 0.25, y)
    page.mouse.down()
    page.mouse.move(strip["x"] + strip["width"] * 0.75, y, steps=3)
    page.mouse.up()
    expect(zoomed).to_have_attribute("style", re.compile(r"left: 2[45].*width: (49|50)"))


def test_a_verdict_is_given_and_counts_and_the_plan_has_its_cost(page: Page, odd: Server) -> None:
    form = page.get_by_role("region", name="Verdict")
    form.get_by_label("It ended as").select_option("partial")
    form.get_by_label("Note").fill("<b>the tests</b> are missing")
    form.get_by_role("button", name="Record the verdict").click()
    expect(form).to_contain_text("partial is recorded")
    expect(form.locator("li")).to_contain_text("<b>the tests</b> are missing")
    expect(page.locator(".facts")).to_contain_text("partial")
    plan = page.get_by_role("region", name="Plans, table").locator("tbody tr")
    expect(plan).to_contain_text("Mend it")
    with odd.client() as client:
        session = client.get("/v1/sessions/odd").json()
    expect(plan).to_contain_text(f"${session['cost']:.4f}")
    expect(plan).to_contain_text(f"{session['cost'] / 0.001:.0%}")


def test_who_may_only_read_gives_no_verdict(browser: Browser, odd: Server) -> None:
    with Opened.of(browser, odd) as opened:
        opened.log_in(Tokens(odd.project).create("reader", ["read"]))
        page = opened.go("#/sessions/odd")
        form = page.get_by_role("region", name="Verdict")
        expect(form).to_contain_text("that takes the right ingest")
        expect(form.locator("form")).to_have_count(0)


def test_thousands_of_entries_scrub_smoothly_and_the_list_follows(
    browser: Browser, odd: Server
) -> None:
    with Opened.of(browser, odd) as opened:
        opened.log_in(odd.token)
        page = opened.go("#/sessions/huge")
        expect(page.locator("[role=option]").first).to_be_visible()
        for zoom in (0, 6):
            for _ in range(zoom):
                page.keyboard.press("+")
            seconds = scrubbing_seconds(page, ".scrubber", 50)
            print(f"{seconds * 1e3:.1f} ms a frame, zoomed {2**zoom} times")
            assert 0 < seconds <= 0.05
        assert page.locator("[role=option]").count() < 80
