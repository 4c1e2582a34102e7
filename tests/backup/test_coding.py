"""Objects as they are stored, and what is said of those that nobody wrote so."""

import errno
import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterator

import pyrage
import pytest
from backports import zstd

from khive_persist.errors import BackupDamagedError, BackupError
from khive_persist.maintenance.backup.coding import Coding, checked_bytes, decode, encode
from khive_persist.maintenance.backup.manifest import StoredObject

SECRET = pyrage.x25519.Identity.generate()
KEYS = (SECRET.to_public(),)
CODINGS = {
    "plain": Coding("none"),
    "zstd": Coding("zstd"),
    "age": Coding("none", KEYS),
    "zstd and age": Coding("zstd", KEYS),
}
# A whole number of age's chunks, so that its last one is full.
CONTENT = os.urandom(4 * 65_536)


def stored(coding: Coding, content: bytes = CONTENT) -> tuple[bytes, StoredObject]:
    sink = io.BytesIO()
    declared = encode(iter([content]), sink, coding)
    return sink.getvalue(), declared


def declared_as(object: bytes, content_bytes: int = len(CONTENT)) -> StoredObject:
    """What a manifest says that was written to go with it."""
    digest = hashlib.sha256(object).hexdigest()
    return StoredObject(bytes=len(object), sha256=digest, content_bytes=content_bytes)


def pieces(object: bytes, size: int = 100_000) -> Iterator[bytes]:
    return (object[begin : begin + size] for begin in range(0, len(object), size))


def read(
    coding: Coding,
    object: Iterator[bytes],
    declared: StoredObject,
    take: Callable[[bytes], None],
) -> None:
    decode("pack", object, declared, coding, (SECRET,), take)


def taking(_content: bytes) -> None:
    """Take what comes, and do nothing with it."""


def taken(coding: Coding, object: bytes, declared: StoredObject) -> bytes:
    content: list[bytes] = []
    read(coding, pieces(object), declared, content.append)
    return b"".join(content)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_what_was_written_comes_back(coding: Coding) -> None:
    for content in (CONTENT, b"", b"x", b" " * 5_000_000):
        object, declared = stored(coding, content)
        assert declared == declared_as(object, len(content))
        assert taken(coding, object, declared) == content


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_an_object_that_holds_less_or_more_than_its_manifest_says_is_damaged(
    coding: Coding,
) -> None:
    object, _ = stored(coding)
    with pytest.raises(BackupDamagedError, match="holds 1 bytes less than it should"):
        taken(coding, object, declared_as(object, len(CONTENT) + 1))
    with pytest.raises(BackupDamagedError, match="holds more than its manifest says"):
        taken(coding, object, declared_as(object, len(CONTENT) - 1))


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_what_stands_after_the_end_is_found(coding: Coding) -> None:
    object, declared = stored(coding)
    for after in (b"x", bytes(200_000)):
        with pytest.raises(BackupDamagedError, match=f"has more than {len(object)} bytes"):
            read(coding, itertools.chain(pieces(object), pieces(after)), declared, taking)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_an_object_that_ends_early_is_damaged_though_its_digest_is_right(coding: Coding) -> None:
    object, _ = stored(coding)
    with pytest.raises(BackupDamagedError):
        taken(coding, object[:-1], declared_as(object[:-1]))


def test_a_frame_without_its_end_is_damaged_though_its_content_is_whole() -> None:
    compressor = zstd.ZstdCompressor()
    object = compressor.compress(CONTENT, mode=zstd.ZstdCompressor.FLUSH_BLOCK)
    with pytest.raises(BackupDamagedError, match="does not end where its compression does"):
        taken(CODINGS["zstd"], object, declared_as(object))


def test_a_second_frame_is_not_passed_over() -> None:
    object = zstd.compress(CONTENT) + zstd.compress(b"more")
    with pytest.raises(BackupDamagedError, match="does not end where its compression does"):
        taken(CODINGS["zstd"], object, declared_as(object))


def test_what_zstd_cannot_read_is_damaged_though_its_digest_is_right() -> None:
    object = b"no frame" * 10_000
    with pytest.raises(BackupDamagedError, match="cannot be decompressed"):
        taken(CODINGS["zstd"], object, declared_as(object))


def test_what_age_cannot_read_is_damaged_though_its_digest_is_right() -> None:
    object, _ = stored(CODINGS["age"])
    changed = object[:-1] + bytes([object[-1] ^ 1])
    with pytest.raises(BackupDamagedError, match="cannot be decrypted"):
        taken(CODINGS["age"], changed, declared_as(changed))


@pytest.mark.parametrize("at", [30, 100_000])
def test_damage_is_not_taken_for_a_wrong_key(at: int) -> None:
    object, declared = stored(CODINGS["age"])
    changed = object[:at] + bytes([object[at] ^ 1]) + object[at + 1 :]
    with pytest.raises(BackupDamagedError, match="its SHA-256 is another"):
        taken(CODINGS["age"], changed, declared)


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_what_goes_wrong_where_the_content_goes_is_no_damage(coding: Coding) -> None:
    def take(_: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    object, declared = stored(coding)
    with pytest.raises(OSError, match="No space left") as raised:
        read(coding, pieces(object), declared, take)
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS)
def test_what_goes_wrong_where_the_object_comes_from_is_told_as_it_is(coding: Coding) -> None:
    def broken(object: bytes) -> Iterator[bytes]:
        yield object[:150_000]
        raise BackupError("/backups: Input/output error")

    object, declared = stored(coding)
    with pytest.raises(BackupError, match="Input/output error"):
        read(coding, broken(object), declared, taking)


def test_no_more_is_read_than_was_declared() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while read < 100:
            read += 1
            yield b"ab"

    with pytest.raises(BackupDamagedError, match="has more than 5 bytes"):
        list(checked_bytes("pack", endless(), declared_as(b"ababa")))
    assert read == 3
