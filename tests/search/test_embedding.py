"""Vectors in the index: made in steps, of a model's, and gone with what they are of."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from khive_persist import clock
from khive_persist.project import Project
from khive_persist.search_index import expression, query, ranking
from khive_persist.search_index.index_file import IndexFile
from khive_persist.search_index.passages import Indexed, Passage
from khive_persist.search_index.result import PassageKind, VectorsState
from khive_persist.search_index.search_readers import reading
from khive_persist.search_index.semantic import vectors
from khive_persist.search_index.semantic.embedding import LOCK, embed_passages
from khive_persist.search_index.semantic.endpoint import Endpoint
from khive_persist.search_index.semantic.fusion import filters_of, with_nearest
from khive_persist.store.source import Statement
from khive_persist.store.sqlite import write_lock
from tests.search.embedding_server import EmbeddingServer, embedding_server
from tests.search.embedding_server import vectors as answered


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as running:
        yield running


def source(server: EmbeddingServer, model: str = "m") -> Endpoint:
    return Endpoint(server.url, model, "", {})


def put(project: Project, *texts: str, kind: PassageKind = "prompt") -> None:
    with IndexFile(project) as file, file.transaction(5) as index:
        for text in texts:
            passages = [Passage(kind, text)]
            index.put("conversations", text, b"", Indexed("s", "2026-11-30 10:00:00", passages))


def take_out(project: Project, *numbers: int) -> None:
    with IndexFile(project) as file, file.transaction(5) as index:
        for number in numbers:
            index.take_out(number)


def near(
    project: Project, endpoint: Endpoint, text: str, condition: Statement | None = None
) -> list[int]:
    row = endpoint.embed([text], 5)
    with reading(project) as connection:
        assert connection is not None
        return [
            number for number, _ in vectors.nearest(connection, endpoint.model, row, condition, 2)
        ]


def stored(project: Project) -> list[tuple[int, str]]:
    with reading(project) as connection:
        assert connection is not None
        return connection.execute("SELECT passage, model FROM vectors ORDER BY passage").fetchall()


def test_passages_get_vectors_once_and_the_nearest_are_found(
    project: Project, server: EmbeddingServer
) -> None:
    assert embed_passages(project, source(server), 5, 5) == VectorsState(0)
    put(project, "the file is locked", "the chart is empty", "a login fails")
    put(project, "/src/locked.py", kind="path")
    put(project, "locked", kind="output")
    assert embed_passages(project, source(server), 5, 5) == VectorsState(0)
    assert server.texts == ["the file is locked", "the chart is empty", "a login fails"]
    put(project, "too slow")
    assert embed_passages(project, source(server), 5, 5) == VectorsState(0)
    assert server.texts[3:] == ["too slow"]
    assert stored(project) == [(n, "endpoint m 5") for n in (1, 2, 3, 6)]
    assert near(project, source(server), "busy")[0] == 1
    assert near(project, source(server), "latency")[0] == 6
    assert near(project, source(server), "busy", Statement("p.number > ?", [1]))[0] != 1


def test_many_come_in_batches_and_a_step_ends_in_time(
    project: Project, server: EmbeddingServer
) -> None:
    put(project, *(f"slow {number}" for number in range(150)))
    assert embed_passages(project, source(server), 0, 5) == VectorsState(150)
    assert embed_passages(project, source(server), 60, 5) == VectorsState(0)
    assert [len(document["input"]) for document in server.requests] == [64, 64, 22]


def test_what_fails_waits_and_is_said(project: Project, server: EmbeddingServer) -> None:
    put(project, *(f"slow {number}" for number in range(70)))
    server.answer = lambda document, number: (
        (200, answered(document["input"])) if number == 1 else (403, {})
    )
    state = embed_passages(project, source(server), 5, 5)
    assert state == VectorsState(6, "127.0.0.1 answered 403")
    assert state.sentence == "semantic: 6 passages wait: 127.0.0.1 answered 403"
    assert VectorsState(0).sentence == ""
    server.answer = lambda document, _: (200, answered(document["input"]))
    descriptor = write_lock.try_acquire(project.khive / LOCK)
    assert descriptor is not None
    try:
        # Another process is at it: no text is sent twice.
        assert embed_passages(project, source(server), 5, 5) == VectorsState(6)
        assert len(server.requests) == 2
    finally:
        os.close(descriptor)
    assert embed_passages(project, source(server), 5, 5) == VectorsState(0)


def test_another_model_makes_all_anew(project: Project, server: EmbeddingServer) -> None:
    put(project, "slow", "locked")
    embed_passages(project, source(server), 5, 5)
    embed_passages(project, source(server, "other"), 5, 5)
    assert stored(project) == [(1, "endpoint other 5"), (2, "endpoint other 5")]
    assert near(project, source(server), "slow") == []

    def longer(document: dict[str, Any], _: int) -> tuple[int, Any]:
        entries = answered(document["input"])["data"]
        return 200, {"data": [entry | {"embedding": [*entry["embedding"], 1]} for entry in entries]}

    # Under the same name the server has another model by now.
    server.answer = longer
    put(project, "chart")
    assert embed_passages(project, source(server, "other"), 5, 5) == VectorsState(0)
    assert stored(project) == [(n, "endpoint other 6") for n in (1, 2, 3)]


def test_a_vector_goes_with_its_passage_and_comes_for_none_that_went(
    project: Project, server: EmbeddingServer, tmp_path: Path
) -> None:
    put(project, "slow", "locked")
    embed_passages(project, source(server), 5, 5)
    with reading(project) as connection:
        assert connection is not None
        ((kept,),) = connection.execute("SELECT vector FROM vectors WHERE passage = 2")
    take_out(project, 2)
    with IndexFile(project) as file:
        assert file.clean(tmp_path, 5)
    assert [number for number, _ in stored(project)] == [1]
    assert model_bytes(project).count(kept) == 0

    def purge_meanwhile(document: dict[str, Any], _: int) -> tuple[int, Any]:
        take_out(project, 1, 2)
        return 200, answered(document["input"])

    put(project, "login")
    server.answer = purge_meanwhile
    embed_passages(project, source(server), 0.5, 5)
    assert stored(project) == []


def model_bytes(project: Project) -> bytes:
    """All bytes of the index, its log included."""
    files: Sequence[Path] = sorted(project.khive.glob("search.db*"))
    return b"".join(path.read_bytes() for path in files)


def test_what_has_the_words_and_what_is_near_are_ranked_together(
    project: Project, server: EmbeddingServer
) -> None:
    put(project, "locked, and slow", "busy", "the graph", "too slow", "nothing of it")
    put(project, "locked", kind="error")
    endpoint = source(server)
    embed_passages(project, endpoint, 5, 5)

    def ranked(text: str) -> tuple[int, list[tuple[int, bool]]]:
        parsed = query.parse(text)
        row = endpoint.embed(["busy" if "locked" in text else text], 5)
        with reading(project) as connection:
            assert connection is not None
            words = ranking.find_matches(connection, expression.compiled(parsed), clock.now())
            matches = with_nearest(connection, words, parsed, endpoint.model, row)
        entries = [(entry.candidate.number, entry.has_words) for entry in matches.ranked]
        return matches.total, entries

    count, entries = ranked("locked")
    assert count == len(entries) == 6
    # Both have the word, and what means the same follows; what has none of it is last.
    assert sorted(entries[:3]) == [(1, True), (2, False), (6, True)]
    assert all(not has_words for _, has_words in entries[3:])
    assert [number for number, _ in ranked("locked kind:error")[1]] == [6]
    assert 1 not in [number for number, _ in ranked("locked NOT slow")[1]]
    assert filters_of(query.parse("locked slow")) is None


def test_a_kept_vector_has_the_direction_of_the_vector() -> None:
    rows = np.random.default_rng(1).standard_normal((50, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    for row, kept in zip(rows, vectors.packed(rows), strict=True):
        integers = np.frombuffer(kept, np.int8).astype(np.float32)
        assert row @ integers / np.linalg.norm(integers) == pytest.approx(1, abs=1e-3)
    assert vectors.packed(np.zeros((1, 4), np.float32)) == [b""]
