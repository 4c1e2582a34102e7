"""The sources of vectors: a server's model, and the one on this machine."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from khive_persist.errors import InvalidSettingsError
from khive_persist.search_index.semantic.endpoint import Endpoint
from khive_persist.search_index.semantic.source import (
    MOST_CHARACTERS,
    VectorsUnavailableError,
    source_of,
)
from khive_persist.settings import Settings
from tests.search.embedding_server import EmbeddingServer, embedding_server, vectors


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with embedding_server() as running:
        yield running


def endpoint(server: EmbeddingServer, key: str = "") -> Endpoint:
    environment = {"A_KEY": key} if key else {}
    return Endpoint(server.url, "m-1", "A_KEY" if key else "", environment)


def test_a_server_is_asked_for_a_batch_with_its_key_and_bounded_texts(
    server: EmbeddingServer,
) -> None:
    texts = ["the login fails", "x" * 10_000, "", "slow \ud800"]
    rows = endpoint(server, "k-1").embed(texts, 5)
    (document,) = server.requests
    assert document["model"] == "m-1"
    assert document["input"] == ["the login fails", "x" * MOST_CHARACTERS, " ", "slow ?"]
    assert server.keys == ["Bearer k-1"]
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
    # In the order of the texts, which the answer was not in.
    assert rows[0] == pytest.approx([0.1 / 1.01**0.5, 0, 1 / 1.01**0.5, 0, 0], abs=1e-5)


def test_what_may_pass_is_tried_again_and_the_rest_is_said(server: EmbeddingServer) -> None:
    server.answer = lambda document, number: (
        (429, {}) if number == 1 else (200, vectors(document["input"]))
    )
    assert endpoint(server).embed(["a"], 5).shape == (1, 5)
    assert len(server.requests) == 2
    server.answer = lambda *_: (401, {"error": {"message": "bad key k-1 \x1b[31m"}})
    with pytest.raises(VectorsUnavailableError, match=r"^127\.0\.0\.1 answered 401$"):
        endpoint(server).embed(["a"], 5)
    assert len(server.requests) == 3
    without_key = Endpoint(server.url, "m-1", "A_KEY", {})
    with pytest.raises(VectorsUnavailableError, match="A_KEY is not set"):
        without_key.embed(["a"], 5)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "answer",
    [
        b"no json", [], {"data": 3}, {"data": []}, {"data": [{"index": 1, "embedding": [1.0]}]},
        {"data": [{"index": 0, "embedding": [1.0]}] * 2}, {"data": [{"index": 0, "embedding": []}]},
        {"data": [{"index": 0, "embedding": ["a"]}]}, {"data": [{"index": 0, "embedding": 1}]},
        {"data": [{"index": 0, "embedding": [1e39]}]}, {"data": [{"index": "x", "embedding": [1]}]},
        {"data": [{"index": 0, "embedding": [[1.0]]}]}, {"data": [{"embedding": [1.0]}]},
    ],
)  # fmt: skip
def test_no_odd_answer_becomes_a_vector(server: EmbeddingServer, answer: Any) -> None:
    server.answer = lambda *_: (200, answer)
    with pytest.raises(VectorsUnavailableError, match="no vectors"):
        endpoint(server).embed(["a"], 5)


def test_a_text_that_is_refused_holds_up_no_other(server: EmbeddingServer) -> None:
    server.answer = lambda document, _: (
        (400, {}) if "bad" in document["input"] else (200, vectors(document["input"]))
    )
    rows = endpoint(server).embed(["a", "bad", "login"], 5)
    assert [bool(row.any()) for row in rows] == [True, False, True]
    with pytest.raises(VectorsUnavailableError, match="answered 400"):
        endpoint(server).embed(["bad", "bad"], 5)


def test_a_server_that_is_not_there_or_slow_ends_in_time(server: EmbeddingServer) -> None:
    def wait(*_: Any) -> tuple[int, Any]:
        released.wait(10)
        return 200, {}

    released = threading.Event()
    server.answer = wait
    with pytest.raises(VectorsUnavailableError, match=r"took more than|timed out|Timeout"):
        endpoint(server).embed(["a"], 0.3)
    released.set()
    gone = Endpoint("http://127.0.0.1:9/v1", "m", "", {})
    with pytest.raises(VectorsUnavailableError, match="Connection refused"):
        gone.embed(["a"], 3)


def test_settings_name_a_source_or_the_way_out() -> None:
    assert source_of(Settings()) is None
    settings = Settings(search_semantic="endpoint")
    with pytest.raises(InvalidSettingsError, match=r"search\.semantic_url is not set.*config set"):
        source_of(settings)
    settings = settings._replace(search_semantic_url="http://a.test/v1", search_semantic_model="m")
    assert isinstance(source_of(settings), Endpoint)
    settings = settings._replace(search_semantic_key_variable="A_KEY")
    for host in ("a.test", "127.a.test"):
        with pytest.raises(InvalidSettingsError, match="clear text"):
            source_of(settings._replace(search_semantic_url=f"http://{host}/v1"))
    assert source_of(settings._replace(search_semantic_url="http://127.0.0.2/v1"))


LOCALLY = """
import json, sys
from khive_persist.search_index.semantic.source import source_of
from khive_persist.settings import Settings
source = source_of(Settings(search_semantic="local"))
rows = source.embed(["the database is locked", "another process holds the lock of sqlite",
                     "a recipe of apple pie", "", "x" * 10_000_000], 1)
loaded = [name for name in ("requests", "urllib3", "huggingface_hub", "wordllama")
          if name in sys.modules]
print(json.dumps([source.model, (rows @ rows[0]).tolist(), loaded]))
"""


def test_the_local_model_needs_no_network(offline: list[str]) -> None:
    done = subprocess.run(
        [*offline, sys.executable, "-c", LOCALLY], capture_output=True, text=True, check=True
    )
    model, cosines, loaded = json.loads(done.stdout)
    assert model.startswith("local l2_supercat_256 ")
    assert cosines[0] == pytest.approx(1, abs=1e-3)
    assert cosines[1] > 0.4 > cosines[2]
    assert cosines[3] == 0
    assert (loaded, done.stderr) == ([], "")


@pytest.fixture
def offline() -> list[str]:
    """The words before a command that take the network from it; none where that is not allowed."""
    words = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return words
