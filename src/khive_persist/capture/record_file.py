"""`RecordFile`: a record that waits in the spool, in a file of its own.

Its row is stored as it stands there, so it is believed only with the MAC of this user's programs:
git could bring such a file, too.
"""

import hashlib
import os
import re
import uuid
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.store import codec
from khive_persist.store.codec import StoredRow
from khive_persist.trust import macs, marks

_PURPOSE: Final = "spool"
_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_NAME: Final = re.compile(rf"(\d{{20}})_({_UUID})_([A-Za-z_][A-Za-z0-9_]{{0,62}})\.record\Z")
_IS_UUID: Final = re.compile(_UUID)


class RecordFile(NamedTuple):
    """One record that waits, as the name of its file tells.

    Attributes:
        name: The file's name.
        arrival_ns: The time at which it was put here, in nanoseconds since the Unix epoch.
        id: The record's id; for an id that is no UUID, one that is made of it.
        purpose: The name of its purpose.
    """

    name: str
    arrival_ns: int
    id: str
    purpose: str


class SpooledRecord(NamedTuple):
    """The content of such a file.

    Attributes:
        row: The record's row, redacted.
        replaces: The digests of the rows that its id had when it was saved: it is newer than those.
            There is none for a record that was new, or whose database could not be read.
    """

    row: StoredRow
    replaces: tuple[str, ...]


def parse(name: str) -> RecordFile | None:
    """Return the record that a file's name tells of; None for a file that is none."""
    match = _NAME.match(name)
    return None if match is None else RecordFile(name, int(match[1]), match[2], match[3])


def file_of(arrival_ns: int, id: str, purpose: str) -> RecordFile:
    """Return the file of a record that is put into the spool now."""
    name = f"{arrival_ns:020d}_{_name_of(id)}_{purpose}.record"
    return RecordFile(name, arrival_ns, _name_of(id), purpose)


def is_of(file: RecordFile, id: str, purpose: str) -> bool:
    """Return whether a file holds a version of a record."""
    return file.purpose == purpose and file.id == _name_of(id)


def digest(row: StoredRow) -> str:
    """Return a digest of what a save of a row writes.

    That is all but `created_at`, which the first save sets.
    """
    id, content, metadata, _, embedding = row
    return hashlib.sha256(codec.dump([id, content, metadata, embedding]).encode()).hexdigest()


def encode(khive: Path, file: RecordFile, record: SpooledRecord) -> bytes:
    """Return the bytes of a file.

    Raises:
        ProjectError: The key of this user's MACs cannot be read or made.
    """
    body = codec.dump({"row": record.row, "replaces": record.replaces}).encode()
    return macs.mac(khive, _PURPOSE, _named(file, body)).encode() + b"\n" + body


def decode(khive: Path, file: RecordFile, raw: bytes) -> SpooledRecord:
    """Return the record of a file's bytes.

    Raises:
        ValueError: This user's programs did not write them, or not to their end.
        ProjectError: The key of this user's MACs cannot be read or made.
    """
    mac, _, body = raw.partition(b"\n")
    # Where no state folder can be written no key outlasts a process: the owner's check holds alone.
    if marks.state_folder() is not None and not macs.is_ours(
        khive, _PURPOSE, _named(file, body), mac.decode("ascii", "replace")
    ):
        raise ValueError(f"{file.name} is not signed by this user's programs")
    return _parsed(file, body)


def sign_anew(khive: Path, file: RecordFile, raw: bytes) -> bytes:
    """Return the bytes of a file that a person takes for the user's own.

    Raises:
        ValueError: They hold no record.
        ProjectError: The key of this user's MACs cannot be read or made.
    """
    return encode(khive, file, _parsed(file, raw.partition(b"\n")[2]))


def _parsed(file: RecordFile, body: bytes) -> SpooledRecord:
    document = codec.load(body)
    try:
        id, content, metadata, created_at, embedding = document["row"]
        return SpooledRecord(
            (str(id), content, metadata, created_at, embedding), tuple(document["replaces"])
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file.name} holds no row") from error


def _named(file: RecordFile, body: bytes) -> bytes:
    # With its name: a copy under another one would have another time, and another kind.
    return os.fsencode(file.name) + b"\0" + body


def _name_of(id: str) -> str:
    if _IS_UUID.fullmatch(id):
        return id
    return str(uuid.UUID(bytes=hashlib.sha256(id.encode()).digest()[:16]))
