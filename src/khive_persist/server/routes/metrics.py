"""The counters of a server, in the format of Prometheus."""

import time
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from khive_persist.models.purposes import Purpose
from khive_persist.recorder.messages import Commit

ROUTE: Final = "khive.route"
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # To look up a labelled counter takes longer than to count.
        self._answers: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._recorded: dict[tuple[str, str], Counter] = {}
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self._requests = counter("khive_http_requests", "Answers.", ("method", "route", "status"))
        about = "From the head of a request to the end of its answer."
        name = "khive_http_request_seconds"
        self._seconds = histogram(name, about, ("route",), buckets=_SECONDS)
        about = "What came in, by what became of it: new, same, changed, refused or spooled."
        self._records = counter("khive_records", about, ("purpose", "result"))
        of_purpose = ("purpose",)
        self._batch_rows = histogram(
            "khive_commit_rows", "Rows of a commit.", of_purpose, buckets=_ROWS
        )
        self._batch_seconds = histogram(
            "khive_commit_seconds", "Of a commit, with the mirror.", of_purpose, buckets=_SECONDS
        )
        about = "Sessions of applications that were looked up, by whether the cache had them."
        self._lookups = counter("khive_session_lookups", about, ("result",))
        self._waiting = Gauge(
            "khive_waiting", "Requests that wait for a commit.", registry=self.registry
        )

    def committed(self, commit: Commit) -> None:
        """Count a commit."""
        self._batch_rows.labels(commit.purpose.name).observe(commit.rows)
        self._batch_seconds.labels(commit.purpose.name).observe(commit.seconds)

    def recorded(self, purpose: Purpose, result: str, count: int = 1) -> None:
        """Count records that came in."""
        key = purpose.name, result
        counter = self._recorded.get(key)
        if counter is None:
            counter = self._recorded[key] = self._records.labels(*key)
        counter.inc(count)

    def looked_up(self, *, is_hit: bool) -> None:
        """Count a look at the cache of sessions."""
        self._lookups.labels("hit" if is_hit else "miss").inc()

    def text(self, pending: int) -> tuple[bytes, str]:
        """Return all of it as Prometheus reads it, and the media type; `pending` callers wait."""
        self._waiting.set(pending)
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        key = method, route, status
        counters = self._answers.get(key)
        if counters is None:
            counters = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(route),
            )
            self._answers[key] = counters
        counters[0].inc()
        counters[1].observe(seconds)


def with_metrics(app: ASGIApp, metrics: Metrics) -> ASGIApp:
    """Return an app that counts its answers by route: no word of a request is a label."""

    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await app(scope, receive, sending)
        finally:
            route = scope.get(ROUTE, "none")
            method = scope["method"] if route != "none" else "-"
            metrics.answered(method, route, status, time.perf_counter() - began)

    return counting
