"""A real HTTP server that answers as OpenAI's `/v1/embeddings`, for tests."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any], int], tuple[int, Any]]
# Words of one meaning are one dimension.
MEANINGS = (
    ("locked", "busy", "blocked"), ("sign", "login", "password"), ("chart", "graph", "plot"),
    ("slow", "latency", "speed"),
)  # fmt: skip


class EmbeddingServer:
    """What it was sent, and what it answers.

    Attributes:
        url: The address as settings have it.
        requests: The documents that came.
        keys: Their `Authorization` headers.
        answer: Makes status and document of a request, and of its number from 1.
    """

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.answer: Answer = lambda document, _: (200, vectors(document["input"]))

    @property
    def texts(self) -> list[str]:
        """All texts that came, in order."""
        return [text for document in self.requests for text in document["input"]]


def vectors(texts: list[str]) -> dict[str, Any]:
    """The answer of a server whose model counts words of a meaning; in no order, as allowed."""
    entries = [
        {
            "index": index,
            "embedding": [0.1]
            + [sum(text.lower().count(word) for word in words) for words in MEANINGS],
        }
        for index, text in enumerate(texts)
    ]
    return {"object": "list", "data": entries[::-1]}


@contextmanager
def embedding_server() -> Iterator[EmbeddingServer]:
    """Serve on a port of loopback until the end of the block."""
    state = EmbeddingServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/embeddings"
            document = json.loads(self.rfile.read(int(self.headers["content-length"])))
            state.requests.append(document)
            state.keys.append(self.headers["authorization"])
            status, answer = state.answer(document, len(state.requests))
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
