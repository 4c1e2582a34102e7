"""One document as an answer, with its ETag: a client that has it already is told so."""

import hashlib
import zlib
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from khive_persist.store import codec

# A browser may keep what it was told, and has to ask each time whether it still holds.
CACHE: Final = {"cache-control": "private, no-cache", "vary": "accept, authorization, cookie"}
_DIGEST_BYTES: Final = 12
# Less is in a few packets as it is.
_PACKED_BYTES: Final = 8_192
_GZIP_FORM: Final = 31


def answer(request: Request, value: Any) -> Response:
    """Return a JSON answer; 304 without a body where the client says that it has the very same."""
    return answer_bytes(request, codec.dump_lossy(value).encode())


def answer_bytes(request: Request, body: bytes) -> Response:
    """Return the same of what is JSON already; packed for who takes that, where it is long."""
    is_packed = len(body) > _PACKED_BYTES and takes_gzip(request)
    # The same document in other bytes has another tag (RFC 9110 §8.8.3.3).
    tag = tag_of(body, "-gz" if is_packed else "")
    headers = CACHE | {"vary": f"{CACHE['vary']}, accept-encoding", "etag": tag}
    if has_tag(request, tag):
        return Response(status_code=304, headers=headers)
    if is_packed:
        packer = zlib.compressobj(zlib.Z_BEST_SPEED, wbits=_GZIP_FORM)
        body = packer.compress(body) + packer.flush()
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type="application/json")


def takes_gzip(request: Request) -> bool:
    """Return whether a client takes answers that are packed with gzip."""
    for word in request.headers.get("accept-encoding", "").split(","):
        name, _, weight = word.strip().lower().partition(";")
        if name in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


def tag_of(content: bytes, suffix: str = "") -> str:
    """Return the ETag of what an answer is, or is made of."""
    return f'"{hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()}{suffix}"'


def has_tag(request: Request, tag: str) -> bool:
    """Return whether a request says that its client has what bears this tag (RFC 9110 §13.1.2)."""
    header = ",".join(request.headers.getlist("if-none-match"))
    tags = {item.strip().removeprefix("W/") for item in header.split(",")}
    return tag in tags or "*" in tags
