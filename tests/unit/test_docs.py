"""Links, commands, counts and the reference of the documents are true."""

import re
import sqlite3
from importlib.metadata import version
from importlib.resources import files
from json import loads
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

import khive_persist
from docs.reference_text import PAGES as GENERATED
from docs.reference_text import SHOWN_FILES, cli, commands, events, root_file, settings
from khive_persist.cli.root import COMMANDS, run
from khive_persist.models.purposes import BUILT_IN
from khive_persist.settings import Settings
from khive_persist.store.sqlite import statements
from khive_persist.tools import TOOLS
from tests.payloads import sample_payloads
from tests.unit.documents import DOCUMENTS, PAGES, ROOT, anchors, blocks, links, name_of, prose

WIDTH = {"terminal_width": 88, "max_content_width": 88}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_relative_link_resolves(document: Path) -> None:
    for target in links(document):
        parts = urlsplit(target)
        if parts.scheme:
            assert parts.scheme == "https", target
            continue
        path = (document.parent / parts.path).resolve() if parts.path else document
        assert path.is_file(), target
        if parts.fragment:
            assert parts.fragment in anchors(path), target


@pytest.mark.parametrize("page", SHOWN_FILES)
def test_links_of_the_root_s_files_resolve_on_the_site(page: str) -> None:
    place = (ROOT / "docs" / page).parent
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", root_file(page)):
        if not urlsplit(target).scheme:
            assert (place / target).resolve().is_file(), target
            assert (place / target).resolve().is_relative_to(ROOT / "docs"), target


def test_every_page_stands_in_one_table_of_contents() -> None:
    listed = []
    for page in (ROOT / "docs" / "index.md", ROOT / "docs/explanation/decisions/index.md"):
        for text in re.findall(r"```{toctree}\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            names = [line for line in text.splitlines() if line and not line.startswith(":")]
            listed += [(page.parent / f"{name}.md").resolve() for name in names]
    assert sorted(listed) == [page for page in PAGES if page != ROOT / "docs" / "index.md"]


def test_readme_is_short_and_has_a_picture() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.split()) <= 900
    assert readme.count("![") == 1


def test_glossary_has_twenty_words() -> None:
    text = (ROOT / "docs" / "explanation" / "glossary.md").read_text("utf-8")
    words = re.findall(r"^(\S.*)\n: ", text, re.MULTILINE)
    assert len(words) == 20
    assert words == sorted(words)


def test_each_of_eleven_decisions_has_its_parts_and_one_page() -> None:
    decisions = sorted((ROOT / "docs" / "explanation" / "decisions").glob("0*.md"))
    assert len(decisions) == 11
    for decision in decisions:
        text = decision.read_text("utf-8")
        parts = ["Question", "Choice", "Reasons", "Cost", "Shown by"]
        assert re.findall("^## (.*)$", text, re.MULTILINE) == parts, decision.name
        assert len(text.split()) <= 400, decision.name


def test_paths_that_the_documents_name_are_there() -> None:
    for document in DOCUMENTS:
        if document.name != "CHANGELOG.md":
            for path in re.findall(r"`((?:tests|docs|examples|web)/[\w/.]+)`", prose(document)):
                assert (ROOT / path).exists(), f"{name_of(document)}: {path}"
    architecture = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    assert len(architecture.splitlines()) <= 150
    rooms = [path.name for path in (ROOT / "src" / "khive_persist").iterdir() if path.is_dir()]
    for path in re.findall(rf"`((?:{'|'.join(rooms)})/[\w/.]*)`", architecture):
        assert (ROOT / "src" / "khive_persist" / path).exists(), path


def test_commands_and_options_that_the_documents_show_are_there() -> None:
    known = {words: command for words, command, _ in commands()}
    options = {"--help", "--dir", "-h", "--version"}
    shown = [line for block in blocks("console", "sh") for line in block.text.splitlines()]
    shown += [
        code
        for document in DOCUMENTS
        if document.name != "CHANGELOG.md"
        for code in re.findall(r"`([^`\n]+)`", prose(document))
    ]
    seen = 0
    for line in shown:
        match = re.match(r"(?:\$ )?(?:khive-persist )([a-z].*)", line)
        if match is None:
            continue
        words = re.split(r"\s+", match[1].partition("#")[0].strip())
        name = words[0]
        assert name in known, line
        command = known[name]
        while isinstance(command, click.Group) and len(words) > 1 and f"{name} {words[1]}" in known:
            words, name = words[1:], f"{name} {words[1]}"
            command = known[name]
        seen += 1
        taken = options | {option for param in command.params for option in param.opts}
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in taken, line
    assert seen > 40


def test_the_reference_of_commands_is_their_help(capsys: pytest.CaptureFixture[str]) -> None:
    page = cli()
    count = 0
    for words, _, _ in commands():
        assert run([*words.split(), "--help"], **WIDTH) == 0
        level = "#" * (2 + words.count(" "))
        text = capsys.readouterr().out.strip()
        assert f"\n{level} {words}\n\n```text\n{text}\n```\n" in f"\n{page}", words
        count += 1
    assert count == page.count("```text")
    overview = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    assert sorted(re.findall(r"`([a-z]+)`", overview.split("| aim")[1])) == sorted(COMMANDS)


def test_generated_text_has_one_place_each() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES)
    assert sorted(re.findall(r"^<!-- generated: (\w+) -->$", text, re.MULTILINE)) == sorted(
        GENERATED
    )


def test_every_setting_is_in_the_reference() -> None:
    shown = re.findall(r"^### (\w+)\.(\w+)$", settings(), re.MULTILINE)
    assert [f"{section}_{key}" for section, key in shown] == sorted(
        Settings._fields, key=[f"{section}_{key}" for section, key in shown].index
    )
    assert all(len(text) > 20 for text in re.split(r"^Default: .*\n", settings(), flags=re.M)[1:])


def test_every_public_name_is_in_the_reference_once() -> None:
    text = (ROOT / "docs" / "reference" / "python.md").read_text("utf-8")
    names = re.findall(r"^\.\. auto\w+:: khive_persist\.(\w+)$", text, re.MULTILINE)
    assert sorted(names) == sorted(khive_persist.__all__)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_reference_of_events_has_what_the_samples_are(tool: str) -> None:
    part = events().split(f"## {TOOLS[tool].title}\n")[1].split("\n## ")[0]
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.*?) \| (?:yes|no) \|", part, re.MULTILINE))
    sampled = (files("khive_persist") / "samples" / f"{tool}.jsonl").is_file()
    for payload in map(loads, sample_payloads(tool) if sampled else []):
        name = payload["hook_event_name"]
        if name in rows:
            assert f"`{TOOLS[tool].describe(payload)['event_type']}`" in rows[name].split(", ")
    assert set(rows) == {hook.event for hook in TOOLS[tool].registration.hooks}


def test_the_sql_reference_has_the_columns_of_every_view() -> None:
    text = GENERATED["tables"]()
    for purpose in BUILT_IN:
        connection = sqlite3.connect(":memory:")
        connection.execute(f"CREATE TABLE {purpose.table} (id, content, node_metadata, created_at)")
        for statement in statements.views(purpose).values():
            connection.execute(statement)
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({purpose.view})")]
        connection.close()
        part = text.split(f"### {purpose.view}\n")[1].split("\n### ")[0]
        shown = re.findall(r"`([^`]+)`", part.split("Columns: ")[1].splitlines()[0])
        assert sorted(shown) == sorted(columns), purpose.view
    explained = prose(ROOT / "docs" / "reference" / "sql.md")
    assert {f"| `{purpose.view}` |" for purpose in BUILT_IN} <= set(
        re.findall(r"^\| `\w+` \|", explained, re.MULTILINE)
    )


def test_http_has_a_heading_for_each_operation() -> None:
    page = GENERATED["http"]()
    headings = re.findall(r"^## (?:GET|POST|PATCH|PUT|DELETE) (/\S*)$", page, re.MULTILINE)
    assert len(headings) > 30
    assert {"/hooks/{tool}", "/v1/events", "/v1/sessions"} <= set(headings)


def test_the_changelog_begins_with_what_is_not_released_and_dates_the_rest() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    first, *versions = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "[Unreleased]"
    assert versions[-1].startswith("[0.1.0]")
    for number in versions:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", number), number
    assert f"[{version('khive-persist')}]" in versions[0]
