"""`GET /v1/search`: the same answer as `search()`, and an index that follows each commit."""

from collections.abc import Iterator

import anyio
import httpx
import pytest

from khive_persist.sessions.search import search
from khive_persist.store import codec
from tests.factories import event, make_project, message, save, save_many
from tests.server.process import Server, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("served"))
    save_many(
        project,
        [
            message("s1", 0, role="user", text="Mend the deadlock"),
            event("post_command", "s1", 1, tool="claude-code", tool_name="Bash", success=False,
                  command="run", error="deadlock found"),
        ],
    )  # fmt: skip
    with Server(project) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def test_an_answer_is_that_of_python(server: Server, client: httpx.Client) -> None:
    answer = client.get("/v1/search", params={"q": "deadlock tool:Bash"}).json()
    result = anyio.run(lambda: search("deadlock tool:Bash", dir=server.project.root))
    known = codec.load(codec.dump_lossy(result))
    for each in (answer, known):
        # It falls with every second.
        del each["sessions"][0]["hits"][0]["rank"]
    assert answer == known
    assert (answer["matched"], answer["behind"]) == (1, 0)


def test_each_filter_is_a_parameter_too(client: httpx.Client) -> None:
    counts = {
        "kind=error": 1, "kind=prompt": 1, "failed=true": 1, "failed=false": 1, "agent=main": 2,
        "agent=other": 0, "path=/src": 0, "tool=claude-code": 2, "tool=codex": 0,
        "tool_name=Bash": 1, "session=s": 2,
    }  # fmt: skip
    for query, matched in counts.items():
        assert client.get(f"/v1/search?q=deadlock&{query}").json()["matched"] == matched, query
    for query in ("kind=beauty", "failed=perhaps", "path=x", "colour=red"):
        assert client.get(f"/v1/search?q=deadlock&{query}").status_code == 400, query


def test_what_is_committed_is_in_the_index_without_a_search(
    server: Server, client: httpx.Client
) -> None:
    assert client.get("/v1/search", params={"q": "giraffe"}).json()["matched"] == 0
    save(server.project, message("s2", 2, text="A giraffe came by"))

    def is_indexed() -> bool:
        from khive_persist.search_index.follow import count_behind

        return count_behind(server.project) == 0

    until(is_indexed)
    assert client.get("/v1/search", params={"q": "giraffe"}).json()["matched"] == 1


def test_meaning_is_for_who_has_switched_it_on(client: httpx.Client) -> None:
    answer = client.get("/v1/search", params={"q": "deadlock", "semantic": "true"})
    assert answer.status_code == 400
    assert "config set search.semantic local" in answer.text


@pytest.mark.parametrize(
    "params", [{}, {"q": ""}, {"q": '"open'}, {"q": "a", "limit": "0"}, {"q": "kind:letters"}]
)
def test_a_wrong_query_is_a_400_of_one_line(client: httpx.Client, params: dict[str, str]) -> None:
    answer = client.get("/v1/search", params=params)
    assert answer.status_code == 400
    assert len(answer.json()["error"]["message"].splitlines()) == 1
