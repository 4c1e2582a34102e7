"""`search()`: what is recorded is found, ranked, marked, and told from nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from khive_persist.errors import InvalidQueryError, StoreClosedError
from khive_persist.project import Project
from khive_persist.search_index.expression import MAX_SCORED
from khive_persist.search_index.follow import make_anew
from khive_persist.search_index.query import parse
from khive_persist.search_index.result import SearchHit, SearchResult
from khive_persist.sessions.search import search
from khive_persist.sessions.searcher import Searcher
from tests.factories import event, make_project, message, outcome, plan, save, save_many, todos


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("searched"))
    prompt = "The deadlock in parseConfigFile is back, see src/store/writer.py"
    save_many(
        project,
        [
            event(
                "prompt_submitted", "s1", 0, tool="claude-code", payload={"prompt": prompt}
            ),
            event(
                "post_command", "s1", 2, tool="claude-code", tool_name="Bash", success=False,
                command="pytest tests/store -k deadlock", file_paths=["src/store/writer.py"],
                output="1 failed", error="OperationalError: database is locked",
            ),
            event(
                "post_edit", "s1", 3, tool="claude-code", tool_name="Edit", success=True,
                file_paths=["/repo/src/store/reader.py"], output="edited",
            ),
            message("s1", 0, role="user", text=prompt),
            message("s1", 1, text="Café crème: die Datenbank ist gesperrt."),
            message("s2", 4, role="user", text="全文検索のデッドロックを直して"),
            message("s2", 5, text="nothing of that " * 2_000 + "but a zebra at the end"),
            plan("s3", 6, task_description="Index the zebra crossing"),
            todos("s3", 7, ("Walk the zebra", "pending")),
            outcome("s3", "success", 8, note="The zebra is home"),
        ],
    )  # fmt: skip
    return project


def find(project: Project, query: str, **options: object) -> SearchResult:
    return anyio.run(lambda: search(query, dir=project.root, **options))  # type: ignore[arg-type]


def hits(result: SearchResult) -> list[SearchHit]:
    return [hit for session in result.sessions for hit in session.hits]


def marked(hit: SearchHit) -> list[str]:
    return [hit.excerpt[mark.start : mark.end] for mark in hit.marks]


def test_a_text_in_two_records_of_a_session_is_one_hit(project: Project) -> None:
    result = find(project, "parseConfigFile")
    (session,) = result.sessions
    assert (session.session_id, session.title[:12]) == ("s1", "The deadlock")
    (hit,) = session.hits
    assert (result.matched, result.shown, result.behind) == (2, 1, 0)
    assert (hit.kind, marked(hit)) == ("prompt", ["parseConfigFile"])
    assert hit.link == f"khive-persist://session/s1?record={hit.record_id}"


@pytest.mark.parametrize(
    ("query", "marks"),
    [
        ("config", ["Config"]),
        ("parse_config", ["parseConfig"]),
        ("CONFIG file", ["Config", "File"]),
        ("deadl*", ["deadl"]),
        ("cafe creme", ["Café", "crème"]),
        ("CAFÉ", ["Café"]),
        ("検索", ["検索"]),
        ("検索の", ["検索の"]),
        ("全", ["全"]),
        ('"database is locked"', ["database is locked"]),
        ('"locked database"', None),
        ("dead", None),
        ("database zebra", None),
    ],
)
def test_marks_are_what_the_index_matched(
    project: Project, query: str, marks: list[str] | None
) -> None:
    found = hits(find(project, query))
    assert (marked(found[0]) if found else None) == marks


@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("deadlock tool:bash", {"command"}),
        ("tool:bash kind:error", {"error"}),
        ("path:store/writer.py failed", {"output"}),
        ("path:reader.py edited", {"output"}),
        ("failed:yes", {"command", "path", "output", "error"}),
        ("zebra NOT home", {"answer", "plan", "todo"}),
        ("zebra session:s3", {"plan", "todo", "note"}),
        ("zebra (kind:plan OR home)", {"plan", "note"}),
        ("zebra since:2026-11-21T12:07:00 until:2026-11-21T12:08:00", {"todo"}),
        ("client:claude-code locked", {"error"}),
        ("agent:main locked", {"error"}),
        ("agent:other locked", set()),
    ],
)
def test_filters_hold_with_words_and_without(project: Project, query: str, kinds: set[str]) -> None:
    assert {hit.kind for hit in hits(find(project, query))} == kinds


def test_an_excerpt_is_of_the_place_that_matched(project: Project) -> None:
    (hit,) = [hit for hit in hits(find(project, "zebra")) if hit.kind == "answer"]
    assert marked(hit) == ["zebra"]
    assert hit.excerpt.startswith("…")
    assert hit.excerpt.endswith("zebra at the end")
    assert len(hit.excerpt) < 300


def test_nothing_is_told_from_a_mistake(project: Project) -> None:
    result = find(project, "giraffe")
    assert (result.matched, result.sessions, result.near, result.behind) == (0, [], [], 0)
    assert find(project, "deadlok", near=True).near == ["deadlock"]
    with pytest.raises(InvalidQueryError):
        find(project, '"open')


def test_a_limit_is_of_all_hits_and_counts_stay_whole(project: Project) -> None:
    result = find(project, "zebra", limit=1)
    assert (result.matched, result.shown, len(hits(result))) == (4, 1, 1)


def test_options_are_filters(project: Project) -> None:
    assert {hit.kind for hit in hits(find(project, "deadlock", tool="Bash"))} == {"command"}
    assert [s.session_id for s in find(project, "zebra", session_id="s2").sessions] == ["s2"]
    assert find(project, "zebra", until="2026-11-21T12:00").matched == 0


def test_what_a_record_has_no_longer_is_not_shown(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    texts = ["a secret walrus", "the walrus is gone", "a walrus stays"]
    save_many(project, [message("s1", at, text=text) for at, text in enumerate(texts)])
    assert find(project, "walrus").matched == 3
    with closing(sqlite3.connect(project.database("conversations.db"))) as database:
        database.execute("UPDATE messages SET content = replace(content, 'secret walrus', 'x')")
        database.execute("DELETE FROM messages WHERE content LIKE '%gone%'")
        database.commit()

    # As the index has it: `search` would bring it up to date.
    query = parse("walrus")
    result = anyio.run(lambda: Searcher(project=project).search_index(query, 0, limit=1))
    assert result.shown == 1
    assert [hit.excerpt for hit in hits(result)] == ["a walrus stays"]
    whole = anyio.run(lambda: Searcher(project=project).search_index(query, 0))
    assert (whole.matched, [hit.excerpt for hit in hits(whole)]) == (1, ["a walrus stays"])


def test_an_index_of_a_new_project_is_empty(tmp_path: Path) -> None:
    result = find(make_project(tmp_path), "anything")
    assert (result.matched, result.behind) == (0, 0)


def test_a_searcher_sees_what_others_write_replace_and_remove(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    save(project, message("s1", 1, text="walrus"))
    searcher = Searcher(project.root)

    def matched(words: str) -> int:
        return anyio.run(lambda: search(words, searcher=searcher)).matched

    assert [matched("walrus"), matched("otter")] == [1, 0]
    save(project, message("s2", 2, text="otter"))
    assert matched("otter") == 1
    # Another file in its place, as `rebuild --search` leaves it.
    make_anew(project)
    save(project, message("s3", 3, text="otter"))
    assert [matched("walrus"), matched("otter")] == [1, 2]
    project.database("conversations.db").unlink()
    for log in project.khive.glob("conversations.db-*"):
        log.unlink()
    assert [matched("walrus"), matched("otter")] == [0, 0]
    project.search_index.unlink()
    save(project, message("s4", 4, text="walrus"))
    assert matched("walrus") == 1
    anyio.run(searcher.close)
    with pytest.raises(StoreClosedError):
        matched("walrus")


@pytest.mark.parametrize("count", [MAX_SCORED, MAX_SCORED + 50])
def test_all_matches_are_counted_and_of_many_the_newest_are_ranked(
    tmp_path: Path, count: int
) -> None:
    project = make_project(tmp_path / "project")
    words = {0: "oldest common common", count - 1: "newest common common"}
    texts = [words.get(number, f"one common word of {number} others") for number in range(count)]
    save_many(project, [message(f"s{n}", n, text=text) for n, text in enumerate(texts)])
    make_anew(project)
    result = find(project, "common")
    assert (result.matched, result.shown, result.behind) == (count, 20, 0)
    best = {hit.excerpt.partition(" ")[0] for hit in hits(result)} - {"one"}
    assert best == ({"oldest", "newest"} if count <= MAX_SCORED else {"newest"})
