"""Every route under each form of Host and Origin: only the allowed are answered."""

from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from starlette.routing import BaseRoute, Mount, Route

from khive_persist.project import Project
from khive_persist.server.app import routes
from khive_persist.server.context import close_context, open_context
from khive_persist.server.http.hosts import allowed_hosts
from khive_persist.server.http.limits import Limits
from tests.factories import make_project
from tests.server.process import Server, read_answer

# What stands in the place of PORT is the server's own.
ALLOWED_HOSTS = [
    ["127.0.0.1:PORT"],
    ["localhost:PORT"],
    ["LocalHost:PORT"],
    ["[::1]:PORT"],
    ["127.0.0.1"],
    ["localhost:1"],
    ["recorder.test"],
    ["recorder.test:443"],
]
REFUSED_HOSTS: list[list[str]] = [
    ["evil.test"],
    ["evil.test:PORT"],
    ["127.0.0.1.evil.test:PORT"],
    ["localhost.:PORT"],
    ["[::ffff:127.0.0.1]:PORT"],
    [""],
    ["null"],
    [],
    ["127.0.0.1:PORT", "evil.test"],
    ["127.0.0.1:PORT", "127.0.0.1:PORT"],
    ["127.0.0.1:PORT:PORT"],
    ["127.0.0.1@evil.test"],
    ["2130706433:PORT"],
    ["127.1:PORT"],
    ["0.0.0.0:PORT"],
    ["localhost:PORT, evil.test"],
    ["localhost\x00.evil.test"],
]
ALLOWED_ORIGINS = [
    ["http://127.0.0.1:PORT"],
    ["HTTP://127.0.0.1:PORT"],
    ["https://tools.test:8443"],
]
REFUSED_ORIGINS = [
    ["http://evil.test"],
    ["http://evil.test:PORT"],
    ["http://127.0.0.1.evil.test:PORT"],
    ["http://localhost.:PORT"],
    ["http://localhost:PORT"],
    ["http://[::1]:PORT"],
    ["http://[::ffff:127.0.0.1]:PORT"],
    [""],
    ["null"],
    ["http://127.0.0.1:PORT", "http://evil.test"],
    ["http://127.0.0.1:PORT", "http://127.0.0.1:PORT"],
    ["file://"],
    ["http://127.0.0.1"],
    ["http://127.0.0.1:1"],
    ["http://tools.test:8443"],
    ["chrome-extension://abc"],
]

# Each question would be computed by a process of its own: the client says that it has the answer.
SLOW = ("/v1/compare", "/v1/report")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    project = make_project(tmp_path_factory.mktemp("hosts"))
    project.local_config.write_text(
        "[server]\nallowed_hosts = ['Recorder.test']\n"
        "allowed_origins = ['https://tools.test:8443']\n"
    )
    with Server(project) as running:
        yield running


async def _listed(root: Path) -> list[BaseRoute]:
    project = Project(root)
    serving = await open_context(project, "127.0.0.1", Limits())
    try:
        return routes(serving)
    finally:
        await close_context(serving)


def every_route(tmp_path: Path) -> list[tuple[str, str]]:
    """The method and an example path of each route, those that come later included."""
    found = [("GET", "/no/such/route"), ("PUT", "/healthz"), ("OPTIONS", "/v1/events")]
    for route in anyio.run(_listed, tmp_path):
        if isinstance(route, Mount):
            found.append(("GET", f"{route.path}/index.html"))
            continue
        assert isinstance(route, Route), route
        path = route.path
        for name in route.param_convertors:
            path = path.replace("{" + name + "}", "x").replace("{" + name + ":path}", "x")
        assert "{" not in path, path
        found += [(method, path) for method in sorted(route.methods or ())]
    return found


def ask(
    server: Server, method: str, path: str, headers: list[tuple[str, str]]
) -> tuple[int, bytes]:
    port = str(server.address[1])
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value.replace('PORT', port)}" for name, value in headers]
    lines += [f"Authorization: Bearer {server.token}", "Content-Type: application/json"]
    if path.startswith(SLOW):
        lines.append("If-None-Match: *")
    lines += ["Content-Length: 2", "Connection: close", "", "{}"]
    with server.connect() as connection:
        connection.sendall("\r\n".join(lines).encode())
        return read_answer(connection)


def answered(status: int, answer: bytes) -> bool:
    """Whether a route, or the lack of one, has answered, and not what stands before them."""
    refused = b'"code":"host"' in answer or b'"code":"origin"' in answer
    # The parser's own 400 is no JSON; a route's is, as where a parameter is missing.
    is_of_route = status == 400 and b"content-type: application/json" in answer
    return (is_of_route or status not in {0, 400, 421}) and not refused


def test_every_route_is_answered_to_allowed_hosts_alone(server: Server, tmp_path: Path) -> None:
    listed = every_route(tmp_path)
    assert len(listed) > 10
    for method, path in listed:
        for hosts in REFUSED_HOSTS:
            status, answer = ask(server, method, path, [("Host", host) for host in hosts])
            # 400 where the parser itself refuses the header.
            assert status in {400, 421}, (method, path, hosts, answer)
            assert b"text/html" not in answer
        for hosts in ALLOWED_HOSTS:
            status, answer = ask(server, method, path, [("Host", host) for host in hosts])
            assert answered(status, answer), (method, path, hosts, answer)


def test_every_route_is_answered_to_pages_of_allowed_origins_alone(
    server: Server, tmp_path: Path
) -> None:
    host = ("Host", "127.0.0.1:PORT")
    for method, path in every_route(tmp_path):
        for origins in REFUSED_ORIGINS:
            headers = [host, *(("Origin", origin) for origin in origins)]
            status, answer = ask(server, method, path, headers)
            assert status == 403, (method, path, origins, answer)
            assert b"access-control-allow" not in answer.lower()
        for origins in ALLOWED_ORIGINS:
            headers = [host, *(("Origin", origin) for origin in origins)]
            status, answer = ask(server, method, path, headers)
            assert answered(status, answer), (method, path, origins, answer)
            assert b"access-control-allow" not in answer.lower()


@pytest.mark.parametrize(
    ("site", "mode", "method", "answered"),
    [
        ("same-origin", "cors", "GET", True),
        ("none", "navigate", "GET", True),
        ("cross-site", "navigate", "GET", True),
        ("cross-site", "no-cors", "GET", False),
        ("same-site", "no-cors", "GET", False),
        ("cross-site", "navigate", "POST", False),
    ],
)
def test_what_a_browser_says_of_the_page_counts(
    site: str, mode: str, method: str, answered: bool, server: Server
) -> None:
    headers = [("Host", "localhost:PORT"), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode)]
    path = "/healthz" if method == "GET" else "/v1/events"
    status, _ = ask(server, method, path, headers)
    assert (status == 200) is answered
    assert answered or status == 403


def test_every_answer_has_the_security_headers(server: Server, tmp_path: Path) -> None:
    good, bad = [("Host", "localhost:PORT")], [("Host", "evil.test")]
    for method, path in every_route(tmp_path):
        for headers in (good, bad):
            _, answer = ask(server, method, path, headers)
            head = answer.partition(b"\r\n\r\n")[0].lower()
            policy = next(line for line in head.split(b"\r\n") if line.startswith(b"content-sec"))
            assert b"unsafe" not in policy
            # A page of a report may run nothing at all.
            is_page = path.endswith("/page") and b"script-src" not in policy
            assert b"default-src 'none'" in policy
            assert b"script-src 'self'" in policy or is_page
            assert b"frame-ancestors 'none'" in policy
            for line in (
                b"x-content-type-options: nosniff",
                b"x-frame-options: deny",
                b"referrer-policy: no-referrer",
                b"cross-origin-resource-policy: same-origin",
            ):
                assert line in head, (method, path, answer)
            assert b"cache-control:" in head
            assert b"access-control-allow" not in head


def test_the_address_itself_is_a_name_and_any_is_none() -> None:
    assert "192.0.2.7" in allowed_hosts("192.0.2.7", ())
    assert "[2001:db8::7]" in allowed_hosts("2001:DB8::7", ())
    assert "recorder.test" in allowed_hosts("Recorder.test", ())
    loopback = {"127.0.0.1", "localhost", "[::1]"}
    assert allowed_hosts("0.0.0.0", ()) == allowed_hosts("::", ()) == loopback
