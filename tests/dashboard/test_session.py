"""The page of one session: it plays, scrubs, and shows the lists and agents of each moment."""

import re

from playwright.sync_api import expect

from tests.dashboard.opened import Opened
from tests.dashboard.records import STORY


def test_it_steps_seeks_and_finds(opened: Opened) -> None:
    page = opened.go(f"#/sessions/{STORY}")
    head = page.get_by_label("The entry", exact=True).locator("h2")
    expect(page.locator("h1")).to_have_text("Rewrite the whole importer")
    expect(page.locator("[role=option]").first).to_be_visible()
    page.keyboard.press("n")
    expect(head).to_have_text("Bash make test")
    expect(page.get_by_label("Out: failed")).to_contain_text("it broke badly")
    expect(page.locator("[role=option][aria-selected=true]")).to_contain_text("failed")
    page.click("text=Next failure")
    expect(page.locator(".controls .notice")).to_have_text("no failure after this")
    page.keyboard.press("N")
    expect(page.locator(".controls .notice")).to_have_text("no failure before this")
    page.get_by_label("Find").fill("NEW LINE")
    page.get_by_label("Find").press("Enter")
    expect(head).to_contain_text("Edit /src/a.py")
    expect(page.locator("pre .added")).to_have_text(re.compile(r"^\+new line"))
    expect(page.locator("pre .removed")).to_have_text(re.compile("^-old line"))
    page.get_by_label("Position in the session").focus()
    page.keyboard.press("End")
    expect(page.locator("output")).to_contain_text("0:13 of 0:13")
    page.keyboard.press("Home")
    expect(page.locator("output")).to_contain_text("0:00 of 0:13")


def test_a_moment_has_an_address_and_its_own_to_dos_agents_and_cost(opened: Opened) -> None:
    page = opened.go(f"#/sessions/{STORY}")
    expect(page.get_by_role("list", name="Agents")).to_contain_text("helper-agent")
    page.get_by_text("2 agents").click()
    agents = page.get_by_role("region", name="Agents, table").locator("tbody tr")
    expect(agents).to_have_count(2)
    expect(agents.last).to_contain_text("helper-agent")
    todos = page.get_by_label("To-dos at this moment")
    page.locator("[role=option]", has_text="step 0").first.click()
    expect(todos.locator(".started")).to_contain_text("step 0")
    page.locator("[role=option]", has_text="The importer is done").click()
    expect(todos.locator(".completed")).to_contain_text("step 0")
    expect(todos.locator(".started")).to_contain_text("step 1")
    expect(page.locator("output")).to_contain_text("1,820 tokens · $0.")
    expect(page).to_have_url(re.compile(r"\?entry=[0-9a-f]{12}$"))
    page.reload()
    head = page.get_by_label("The entry", exact=True).locator("h2")
    expect(head).to_have_text("The importer is done")


def test_it_plays_to_the_end_and_shows_what_was_thought(opened: Opened) -> None:
    page = opened.go(f"#/sessions/{STORY}")
    page.get_by_label("Speed").select_option("100×")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(page.get_by_label("The entry", exact=True).locator("h2")).to_have_text("session end")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.get_by_label("Show what the model thought").check()
    expect(page.locator("[role=option]", has_text="I wonder")).to_be_visible()


def test_the_map_seeks_where_it_is_clicked(opened: Opened) -> None:
    page = opened.go(f"#/sessions/{STORY}")
    canvas = page.locator("canvas").first
    expect(page.locator("[role=option]").first).to_be_visible()
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] - 2, "y": 5})
    expect(page.get_by_label("The entry", exact=True).locator("h2")).to_have_text("session end")
