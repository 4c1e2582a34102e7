"""`search(semantic=True)`: what says the same in other words, and no search that waits for it."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from khive_persist.errors import InvalidQueryError
from khive_persist.project import Project
from khive_persist.search_index.result import SearchResult, VectorsState
from khive_persist.sessions.search import search
from tests.factories import make_project, message, save_many
from tests.search.embedding_server import EmbeddingServer, embedding_server


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = make_project(tmp_path / "searched")
    texts = ("the file is locked", "draw the chart", "another one has it blocked", "the login")
    messages = [
        message(f"s{number}", number, role="user", text=text) for number, text in enumerate(texts)
    ]
    save_many(project, messages)
    return project


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddingServer]:
    with embedding_server() as running:
        (home / ".khive").mkdir(exist_ok=True)
        (home / ".khive" / "config.toml").write_text(
            f"[search]\nsemantic = 'endpoint'\nsemantic_url = '{running.url}'\n"
            "semantic_model = 'm'\n"
        )
        yield running


def find(project: Project, query: str) -> SearchResult:
    return anyio.run(lambda: search(query, dir=project.root, semantic=True))


def sessions(result: SearchResult) -> list[str]:
    return [session.session_id for session in result.sessions]


def test_what_says_the_same_is_found(project: Project, server: EmbeddingServer) -> None:
    result = find(project, "locked")
    assert (result.mode, result.vectors) == ("hybrid", VectorsState(0))
    assert sessions(result)[:2] == ["s0", "s2"]
    assert [len(session.hits[0].marks) for session in result.sessions[:2]] == [1, 0]
    assert result.sessions[1].hits[0].excerpt == "another one has it blocked"
    assert sessions(find(project, "locked session:s2")) == ["s2"]
    exact = anyio.run(lambda: search("locked", dir=project.root))
    assert (exact.mode, sessions(exact), exact.vectors) == ("exact", ["s0"], None)
    # Each text went there once, and the words of the searches.
    assert len(server.texts) == 4 + 2


def test_a_source_that_fails_leaves_the_words(project: Project, server: EmbeddingServer) -> None:
    server.answer = lambda *_: (401, {})
    result = find(project, "locked")
    assert (result.mode, sessions(result)) == ("exact", ["s0"])
    assert result.vectors == VectorsState(4, "127.0.0.1 answered 401")
    assert find(project, "session:s1").mode == "exact"


@pytest.mark.usefixtures("home")
def test_without_the_setting_the_way_out_is_said(project: Project) -> None:
    with pytest.raises(InvalidQueryError, match=r"switched off.*config set search\.semantic local"):
        find(project, "locked")
    # A project cannot name a server, nor switch meaning on before it is trusted.
    project.config.write_text(
        "[search]\nsemantic = 'endpoint'\nsemantic_url = 'http://127.0.0.1:9'\n"
    )
    with pytest.raises(InvalidQueryError, match="switched off"):
        find(project, "locked")
