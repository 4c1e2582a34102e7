"""The search of everything: its box on every page, results, keys, filters; links of records."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from khive_persist.models.hook_event import HookEvent
from khive_persist.models.message import Message
from khive_persist.models.node import Node
from khive_persist.models.outcome import Outcome
from khive_persist.search_index.link import RecordLink
from tests.dashboard.conftest import new_project
from tests.dashboard.opened import Opened
from tests.dashboard.records import BEGAN, MODEL
from tests.dashboard.test_access import AXE, violations
from tests.factories import record as at
from tests.factories import save_many
from tests.server.process import Server

ERROR: Final = "ValueError: time data '12-31' does not match format '%Y' in dates.py line 40"
PROMPT: Final = "😀 Make the <img src=x onerror=alert(1)> quicksilver of Зима read all dates"
MANY: Final = 60
ON_EACH_PAGE: Final = (
    "#/", "#/sessions", "#/events", "#/plans", "#/application_sessions", "#/compare", "#/report",
    "#/health", "#/sessions/mended", "#/search", "#/fixes", "#/file", "#/open",
)  # fmt: skip


@pytest.fixture(scope="module")
def searched(first_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = new_project(tmp_path_factory.mktemp("searched"))
    save_many(project, [*mended(), *other(), *many()])
    with Server(project) as server:
        with server.client() as client:
            # Whoever searches first makes the index.
            assert client.get("/v1/search", params={"q": "quicksilver"}).json()["matched"] == 3
        yield server


@pytest.fixture(scope="module")
def shared(browser: Browser, searched: Server) -> Iterator[Opened]:
    with Opened.of(browser, searched, bypass_csp=True) as opened:
        opened.log_in(searched.token)
        yield opened


@pytest.fixture
def page(shared: Opened) -> Iterator[Page]:
    """The one page of all tests here: each begins at the overview."""
    page = shared.go("#/")
    expect(page.locator("main")).to_contain_text("Sessions")
    yield page
    assert shared.elsewhere == []
    assert shared.dialogs == []
    assert shared.errors == []


def mended() -> list[Node]:
    about = {"session_id": "mended", "tool": "claude-code", "kind": "message", "cwd": "/src"}

    def called(second: int, id: str, name: str, asked: dict[str, Any], **content: Any) -> Node:
        call = {"tool_use_id": id, "name": name, "input": asked}
        return at(Message, BEGAN + timedelta(seconds=second), role="assistant", model=MODEL,
                  tool_calls=[call], **about, **content)  # fmt: skip

    def answered(second: int, id: str, output: str, *, is_error: bool = False) -> Node:
        result = {"tool_use_id": id, "output": output, "is_error": is_error}
        when = BEGAN + timedelta(seconds=second)
        # As a sync counts what no event tells of.
        counts = {"unreported_calls": 1, "unreported_failures": int(is_error)}
        return at(Message, when, role="tool", tool_results=[result], **counts, **about)

    edit = {"file_path": "/src/dates.py", "old_string": "'%Y'", "new_string": "'%m-%d'"}
    return [
        at(Message, BEGAN, role="user", text=PROMPT, **about),
        called(1, "t1", "Bash", {"command": "pytest tests/test_dates.py"},
               thinking="the amalgam is unclear", text="First the tests."),
        answered(2, "t1", f"collected 3 items\n{ERROR}", is_error=True),
        called(3, "t2", "Edit", edit),
        answered(4, "t2", "edited"),
        called(5, "t3", "Bash", {"command": "pytest tests/test_dates.py"}),
        answered(6, "t3", "3 passed"),
        at(Outcome, BEGAN + timedelta(seconds=9), session_id="mended", verdict="success",
           note="the quicksilver flows"),
    ]  # fmt: skip


def other() -> list[Node]:
    about = {"session_id": "other", "tool": "codex"}
    return [
        at(Message, BEGAN, role="user", kind="message", text="weigh quicksilver", **about),
        at(HookEvent, BEGAN + timedelta(seconds=3), event_type="post_command", tool_name="shell",
           command="make lead", success=False, **about),
    ]  # fmt: skip


def many() -> list[Node]:
    about = {"session_id": "many", "tool": "gemini-cli", "kind": "message", "role": "user"}
    return [
        at(Message, BEGAN + timedelta(minutes=number), text=f"bismuth {number}", **about)
        for number in range(MANY)
    ]


def box(page: Page) -> Any:
    return page.get_by_role("searchbox", name="Search all sessions")


def search(page: Page, words: str) -> None:
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.type(words, delay=15)


def marks(page: Page) -> list[str]:
    texts: list[str] = page.locator("mark").all_inner_texts()
    return texts


def test_the_box_is_on_each_page_and_leads_back(page: Page, shared: Opened) -> None:
    for hash in ON_EACH_PAGE:
        shared.follow(hash)
        expect(box(page)).to_have_count(1)
        page.locator("h1").first.focus()
        page.keyboard.press("/")
        expect(box(page)).to_be_focused()
        page.keyboard.press("Escape")
        expect(box(page)).not_to_be_focused()
        assert page.evaluate("location.hash") in (hash, "#/")
    shared.follow("#/sessions/mended")
    expect(page.locator("[role=option]").first).to_be_visible()
    page.keyboard.press("n")
    head = page.get_by_label("The entry", exact=True).locator("h2")
    expect(head).to_have_text("Bash pytest tests/test_dates.py")
    expect(page).to_have_url(re.compile("entry="))
    page.keyboard.press("i")
    expect(page.get_by_label("Find")).to_be_focused()
    page.keyboard.press("Escape")
    search(page, "bismuth")
    expect(page.get_by_role("status").filter(has_text="matches")).to_contain_text(
        f"20 of {MANY} matches in 1 session"
    )
    expect(box(page)).to_be_focused()
    page.keyboard.press("Escape")
    expect(head).to_have_text("Bash pytest tests/test_dates.py")
    expect(box(page)).to_have_value("")


def test_results_come_as_one_types_and_are_text(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    search(page, "quicksilver")
    expect(page.locator("mark")).to_have_count(3)
    expect(page).to_have_url(re.compile(r"#/search\?q=quicksilver$"))
    assert {text.lower() for text in marks(page)} == {"quicksilver"}
    assert sum("/v1/search?" in url for url in asked) < len("quicksilver")
    expect(page.locator(".excerpt").filter(has_text="Зима")).to_contain_text(PROMPT)
    assert page.evaluate("document.querySelectorAll('main img').length") == 0
    first = page.locator("li.panel").filter(has_text="Зима").locator("a.hit", has_text="prompt")
    for text in ("prompt", "Claude Code"):
        expect(first).to_contain_text(text)
    expect(page.get_by_role("status").filter(has_text="matches")).to_contain_text(
        "3 matches in 2 sessions"
    )
    page.reload()
    expect(box(page)).to_have_value("quicksilver")
    expect(page.locator("mark")).to_have_count(3)
    page.go_back()
    expect(page).to_have_url(re.compile("#/$"))


def test_an_outdated_answer_is_not_shown(page: Page) -> None:
    page.route("**/v1/search?q=bismuth*", lambda _route: None)
    with page.expect_event("request", lambda request: "q=bismuth" in request.url):
        search(page, "bismuth")
    with page.expect_event("requestfailed", lambda request: "q=bismuth" in request.url):
        box(page).fill("quicksilver")
    expect(page.locator("mark")).to_have_count(3)
    page.unroute("**/v1/search?q=bismuth*")
    assert {text.lower() for text in marks(page)} == {"quicksilver"}


def test_hits_are_reached_and_opened_by_keys(page: Page) -> None:
    search(page, "quicksilver")
    expect(page.locator("mark")).to_have_count(3)
    hits = page.locator("a.hit")
    page.keyboard.press("ArrowDown")
    expect(hits.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(hits.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(hits.nth(2)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("k")
    expect(hits.nth(0)).to_be_focused()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("#/$"))
    search(page, "amalgam")
    page.keyboard.press("Enter")
    expect(hits.first).to_be_focused()
    page.keyboard.press("Enter")
    entry = page.get_by_label("The entry", exact=True)
    expect(entry).to_contain_text("the amalgam is unclear")
    expect(page).to_have_url(re.compile(r"#/sessions/mended\?thinking=true&entry=[0-9a-f]{12}$"))
    page.go_back()
    expect(page).to_have_url(re.compile("q=amalgam"))
    search(page, "")
    box(page).fill("edited")
    expect(page.locator("mark").first).to_have_text("edited")
    page.keyboard.press("Enter")
    expect(hits.first).to_be_focused()
    page.keyboard.press("Enter")
    expect(entry.locator("h2")).to_have_text("Edit /src/dates.py")


def test_filters_are_chips_with_a_way_out(page: Page, shared: Opened) -> None:
    shared.follow("#/search?q=quicksilver&tool=codex")
    expect(page.locator("mark")).to_have_count(1)
    expect(page.locator(".chip")).to_contain_text("Tool: Codex")
    page.locator("h1").focus()
    page.keyboard.press("x")
    expect(page.locator("mark")).to_have_count(3)
    page.keyboard.press("f")
    filters = page.get_by_role("group", name="Filters in force")
    filters.get_by_role("button", name="Kind").click()
    filters.get_by_role("button", name="note", exact=True).click()
    expect(page.locator("mark")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=quicksilver&kind=note$"))
    page.locator("a.hit").click()
    expect(page).to_have_url(re.compile(r"#/sessions/mended"))
    shared.follow("#/search?q=quicksilver&kind=error")
    expect(page.locator("main")).to_contain_text("No match passes these filters")
    page.get_by_role("button", name="Clear filters").first.click()
    expect(page.locator("mark")).to_have_count(3)
    shared.follow("#/search?q=bismuth")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("a.hit")).to_have_count(50)
    expect(page).to_have_url(re.compile("limit=50"))


def test_a_wrong_filter_or_query_says_so(page: Page, shared: Opened) -> None:
    shared.follow("#/search?q=quicksilver&kind=beauty")
    expect(page.locator("main")).to_contain_text("The filter kind cannot be used.")
    page.get_by_role("button", name="Remove kind", exact=True).click()
    expect(page.locator("mark")).to_have_count(3)
    box(page).fill('"quicksilver')
    expect(page.get_by_role("alert")).to_contain_text("is not closed")
    expect(page.locator("mark")).to_have_count(0)
    box(page).fill('"weigh quicksilver"')
    expect(page.locator("mark").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    assert all("400" in error for error in shared.errors)
    shared.errors.clear()


def test_nothing_matches_and_what_is_similar(page: Page) -> None:
    search(page, "quicksliver")
    expect(page.locator("main")).to_contain_text("Nothing matches “quicksliver”.")
    expect(page.locator("a.hit")).to_have_count(0)
    page.get_by_role("button", name="Search for similar words").click()
    page.get_by_role("button", name="quicksilver", exact=True).click()
    expect(page.locator("mark")).to_have_count(3)
    expect(box(page)).to_have_value("quicksilver")
    box(page).fill("")
    expect(page.locator("h1")).to_have_text("Search")
    expect(page.locator("main")).to_contain_text("Search all that is recorded.")


def test_an_index_that_lacks_something_says_so(page: Page) -> None:
    answers = iter((None, 3, 0))

    def lacking(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(json=answer.json() | {"behind": next(answers, 0)})

    # The server answers; only how far it is behind is not left to chance.
    page.route("**/v1/search?*", lacking)
    page.evaluate("location.hash = '#/search?q=quicksilver'")
    status = page.get_by_role("status").filter(has_text="matches")
    expect(status).to_contain_text("The index is being made: there may be more.")
    expect(status).to_contain_text("behind by 3 changes")
    expect(status).not_to_contain_text("there may be more")
    page.unroute("**/v1/search?*")


def test_an_outage_keeps_what_was_there(page: Page, shared: Opened) -> None:
    search(page, "quicksilver")
    expect(page.locator("mark")).to_have_count(3)
    page.context.set_offline(True)
    box(page).fill("bismuth")
    expect(page.locator(".outage")).to_contain_text("The server does not answer")
    expect(page.locator("mark")).to_have_count(3)
    page.context.set_offline(False)
    expect(page.locator("mark")).to_have_count(20)
    expect(page.locator(".outage")).not_to_contain_text("The server does not answer")
    assert all("ERR_INTERNET_DISCONNECTED" in error for error in shared.errors)
    shared.errors.clear()


def test_links_of_records_open_their_entries(page: Page, shared: Opened, searched: Server) -> None:
    with searched.client() as client:
        records = client.get("/v1/sessions/mended/story").json()["entries"]
        hits = client.get("/v1/search", params={"q": "lead"}).json()["sessions"][0]["hits"]
    entry = page.get_by_label("The entry", exact=True)
    edit = next(one for one in records if one["title"].startswith("Edit"))
    for record_id in edit["records"]:
        link = str(RecordLink("mended", record_id))
        shared.follow(f"#/open?link={link.replace('?', '%3F').replace('=', '%3D')}")
        expect(entry.locator("h2")).to_have_text("Edit /src/dates.py")
        expect(page).to_have_url(re.compile(f"entry={edit['id']}$"))
    shared.follow(f"#/open?link={hits[0]['link'].replace('?', '%3F').replace('=', '%3D')}")
    expect(entry.locator("h2")).to_have_text("shell")
    shared.follow("#/open?link=khive-persist://session/nowhere%3Frecord%3Dx")
    expect(page.locator("main")).to_contain_text("The session of this link is not recorded here.")
    expect(page.locator("main")).to_contain_text("nowhere")
    shared.follow("#/open?link=javascript:alert(1)")
    expect(page.locator("main")).to_contain_text("This is no link to an entry.")
    shared.follow("#/open?link=khive-persist://session/mended%3Frecord%3Dnowhere")
    expect(page.locator(".controls .notice")).to_contain_text("not in the session")
    assert all("404" in error for error in shared.errors)
    shared.errors.clear()


def test_an_error_leads_to_what_mended_it_and_a_file_to_its_history(page: Page) -> None:
    page.evaluate("location.hash = '#/sessions/mended'")
    expect(page.locator("[role=option]").first).to_be_visible()
    page.keyboard.press("n")
    page.get_by_role("link", name="Sessions with this error").click()
    expect(page.locator("h1")).to_have_text("Sessions with this error")
    fix = page.locator("li.panel")
    expect(fix).to_have_count(1)
    for text in ("the same error", "pytest tests/test_dates.py", "+'%m-%d'", "succeeded"):
        expect(fix).to_contain_text(text)
    fix.get_by_role("link", name="succeeded").click()
    expect(page.get_by_label("The entry", exact=True)).to_contain_text("3 passed")
    page.locator("summary", has_text="that calls name").click()
    page.get_by_role("link", name="History of /src/dates.py").click()
    expect(page.locator("h1")).to_have_text("History of src/dates.py")
    touch = page.locator(".touches > li").first
    expect(touch).to_contain_text("edited")
    expect(touch).to_contain_text(re.compile("asked: *😀 Make the <img"))
    touch.locator("summary").click()
    expect(touch.locator(".added")).to_contain_text("+'%m-%d'")


def test_axe_finds_nothing_and_nothing_is_cut_off(page: Page, shared: Opened) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make web")
    states = {
        "#/search": "Search all that is recorded",
        "#/search?q=quicksliver": "Nothing matches",
        "#/open?link=x": "no link",
        f"#/fixes?error={ERROR.replace('%', '%25')}": "succeeded",
    }
    for hash, text in states.items():
        for width in (390, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            shared.follow(hash)
            expect(page.locator("main")).to_contain_text(text)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (hash, width)
        assert violations(page) == [], hash
