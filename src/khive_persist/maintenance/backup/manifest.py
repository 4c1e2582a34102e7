"""`manifest.json`: the description of a backup, and the digests of all that belongs to it."""

import hashlib
import re
from datetime import datetime
from typing import Annotated, Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from khive_persist import clock
from khive_persist.clock import InstantText
from khive_persist.errors import BackupDamagedError
from khive_persist.store import codec

NAME: Final = "manifest.json"
FORMAT: Final = 1
MAX_BYTES: Final = 16 << 20
MAX_INDEX_BYTES: Final = 1 << 30
CONFIG: Final = "config.toml"
MIRROR: Final = "sessions"

ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\Z")
DATABASE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.db\Z")

Kind = Literal["full", "incremental"]
Compression = Literal["none", "zstd"]
Encryption = Literal["none", "age"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, lt=1 << 62)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class StoredObject(_StrictModel):
    """An object as it lies in the destination.

    Attributes:
        bytes: The size there.
        sha256: The digest of the bytes there.
        content_bytes: The size of what it holds, once decrypted and decompressed.
    """

    bytes: Size
    sha256: Digest
    content_bytes: Size


class File(_StrictModel):
    """A database, or config.toml, as it is once restored.

    Attributes:
        name: The name in `.khive`.
        bytes: The size.
        sha256: The digest of the content.
        rows: The number of rows of each table of a database.
        schema_version: The `PRAGMA user_version` of a database.
    """

    name: str
    bytes: Size
    sha256: Digest
    rows: dict[str, Size] | None = None
    schema_version: int | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not (self.name == CONFIG if self.rows is None else DATABASE.match(self.name)):
            raise ValueError(f"{self.name!r} is no name of a file of .khive")
        return self


class BackupItem(NamedTuple):
    """One backup of a list; each field is that of its `Manifest`.

    Attributes:
        files: The number of rows of each table, by database.
    """

    id: str
    created_at: InstantText
    kind: Kind
    parent: str | None
    rows: int
    content_bytes: int
    stored_bytes: int
    stored_as: str
    files: dict[str, dict[str, int]]


class Manifest(_StrictModel):
    """One backup.

    Attributes:
        format: The format of the manifest and of all it names.
        id: The name in the destination.
        created_at: The time at which it began, spelled as `created_at` of records.
        kind: `full` for all pieces, `incremental` for those that the parent's chain lacks.
        parent: The backup that it is based on.
        compression: The compression of both objects.
        encryption: The encryption of both objects.
        files: The databases, and config.toml where there was one.
        mirror_files: The number of files of `sessions/`.
        mirror_bytes: The size of those files.
        index: The object with the pieces of each file.
        pack: The object with the pieces that no ancestor has.
    """

    format: Literal[1]
    id: str
    created_at: str
    kind: Kind
    parent: str | None
    compression: Compression
    encryption: Encryption
    files: tuple[File, ...]
    mirror_files: Size
    mirror_bytes: Size
    index: StoredObject
    pack: StoredObject

    @property
    def created(self) -> datetime:
        """Return the time at which the backup began."""
        return clock.from_column(self.created_at) or clock.unreadable()

    @property
    def stored_bytes(self) -> int:
        """Return the bytes that it takes in the destination, without its manifest."""
        return self.index.bytes + self.pack.bytes

    @property
    def content_bytes(self) -> int:
        """Return the size of all its files, once restored."""
        return sum(file.bytes for file in self.files) + self.mirror_bytes

    @property
    def rows(self) -> int:
        """Return the number of rows of its databases."""
        return sum(sum(file.rows.values()) for file in self.files if file.rows is not None)

    @property
    def stored_as(self) -> str:
        """Return its coding as text for a person: `zstd + age`, or `plain`."""
        codings = [word for word in (self.compression, self.encryption) if word != "none"]
        return " + ".join(codings) or "plain"

    def as_document(self) -> BackupItem:
        """Return the entry of a list of backups, as a JSON document."""
        values = {name: getattr(self, name) for name in BackupItem._fields}
        files = {file.name: file.rows for file in self.files if file.rows is not None}
        return BackupItem(**values | {"files": files})

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [file.name.casefold() for file in self.files]
        if len(set(names)) != len(names):
            raise ValueError("a file is named twice")
        if (self.kind == "full") != (self.parent is None):
            raise ValueError("a full backup has no parent, and an incremental one has")
        if clock.from_column(self.created_at) is None:
            raise ValueError("created_at is no time")
        if self.index.content_bytes > MAX_INDEX_BYTES:
            raise ValueError("the index is too large")
        return self


def dump(manifest: Manifest) -> bytes:
    """Serialise a manifest to the bytes of its file, with their own digest."""
    body = manifest.model_dump(mode="json")
    return codec.dump({"manifest": body, "sha256": _digest(body)}, indent=True).encode() + b"\n"


def load(id: str, content: bytes) -> Manifest:
    """Return the manifest of a backup.

    Raises:
        BackupDamagedError: It is not, byte for byte, what `dump` wrote, or says what none can say.
    """
    try:
        document = codec.load(content)
        body = document["manifest"]
        # First of all: a digit that was changed must not be taken for another version.
        if document["sha256"] != _digest(body):
            raise BackupDamagedError(f"backup {id}: {NAME} is not as it was written")
        if (format := body["format"]) > FORMAT:
            raise BackupDamagedError(
                f"backup {id} has format {format}, this khive-persist knows {FORMAT}",
                hint="upgrade khive-persist",
            )
        manifest = Manifest.model_validate_json(codec.dump(body))
        # Written anew: what was changed where JSON does not mind is seen too.
        if manifest.id != id or dump(manifest) != content:
            raise BackupDamagedError(f"backup {id}: {NAME} is not as it was written")
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise BackupDamagedError(f"backup {id}: {NAME} is not valid ({reason})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BackupDamagedError(f"backup {id}: {NAME} is damaged ({error})") from error
    return manifest


def _digest(body: object) -> str:
    return hashlib.sha256(codec.dump(body).encode()).hexdigest()
