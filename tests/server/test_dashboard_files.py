"""The dashboard's files are answered as they are, to be kept where they cannot change."""

import gzip
from pathlib import Path

import pytest
from starlette.requests import Request

from khive_persist.server.routes import dashboard


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>x</title>")
    (folder / "assets" / "index-AbC_12-x.js").write_text("let x = 1")
    (folder / "assets" / "index-AbC_12-x.js.gz").write_bytes(gzip.compress(b"let x = 1"))
    (folder / "assets" / "icon.svg").write_text("<svg/>")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(dashboard, "FOLDER", folder)
    return folder


def ask(**headers: str) -> Request:
    pairs = [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()]
    return Request({"type": "http", "method": "GET", "headers": pairs})


def test_files_have_their_type_and_say_how_long_they_are_kept(built: Path) -> None:
    page = dashboard._read("index.html", ask())
    assert page is not None
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    script = dashboard._read("assets/index-AbC_12-x.js", ask())
    assert script is not None
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert bytes(script.body) == b"let x = 1"
    icon = dashboard._read("assets/icon.svg", ask())
    assert icon is not None
    assert (icon.headers["content-type"], icon.headers["cache-control"]) == (
        "image/svg+xml",
        "no-cache",
    )


def test_who_takes_gzip_is_given_it_and_who_has_a_file_is_told_so(built: Path) -> None:
    name = "assets/index-AbC_12-x.js"
    packed = dashboard._read(name, ask(accept_encoding="br, gzip;q=0.8"))
    assert packed is not None
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(bytes(packed.body)) == b"let x = 1"
    assert packed.headers["vary"] == "accept-encoding"
    refused = dashboard._read(name, ask(accept_encoding="gzip;q=0"))
    assert refused is not None
    assert "content-encoding" not in refused.headers
    assert refused.headers["etag"] != packed.headers["etag"]
    again = dashboard._read(name, ask(if_none_match=refused.headers["etag"]))
    assert again is not None
    assert (again.status_code, bytes(again.body)) == (304, b"")


@pytest.mark.parametrize(
    "name",
    ["assets/../../secret.txt", "../secret.txt", "/etc/passwd", "assets", "assets/", "", "x\x00"],
)
def test_no_name_leads_out_of_the_folder(name: str, built: Path) -> None:
    assert dashboard._read(name, ask()) is None
