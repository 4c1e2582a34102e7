"""Destinations of backups: a folder, or a bucket of an S3-compatible store."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from khive_persist.errors import BackupError
from khive_persist.maintenance.backup.folder import Folder
from khive_persist.maintenance.backup.s3 import Bucket
from khive_persist.project import Project

DEFAULT: Final = "backups"
_S3: Final = "s3://"


class Sink(Protocol):
    """A writer of an object's bytes."""

    def write(self, content: bytes, /) -> int:
        """Write the next bytes."""


class Destination(Protocol):
    """Objects, each under the id of its backup and a name."""

    def ids(self) -> list[str]:
        """Return the ids under which anything lies, in order."""

    def read(self, id: str, name: str) -> Iterator[bytes]:
        """Yield an object's bytes.

        Raises:
            NotFoundError: It is missing.
            BackupDamagedError: It is no plain file.
            BackupError: It cannot be read.
        """

    def write(self, id: str, name: str, produce: Callable[[Sink], object]) -> None:
        """Make an object of what `produce` writes: as a whole and durably, or not at all.

        Raises:
            BackupError: It cannot be written.
        """

    def delete(self, id: str, names: tuple[str, ...]) -> None:
        """Delete objects of a backup, in this order; those that are not there are passed over.

        Raises:
            BackupError: One cannot be deleted.
        """


def open_destination(project: Project, address: str = "", endpoint: str = "") -> Destination:
    """Return the destination of this name.

    Args:
        address: `s3://bucket/prefix`, or a folder, relative to the directory that holds `.khive`;
            if empty, `backups/` in `.khive`.
        endpoint: The address of the S3 service; if empty, what AWS_ENDPOINT_URL says, or Amazon's.

    Raises:
        MissingExtraError: It is a bucket, and obstore is not installed.
        BackupError: It cannot be used.
    """
    if address.startswith(_S3):
        bucket, _, prefix = address.removeprefix(_S3).partition("/")
        if not bucket:
            raise BackupError(f"{address!r} names no bucket", hint="write s3://bucket/prefix")
        return Bucket(bucket, prefix.strip("/"), endpoint, scratch=project.khive)
    if "://" in address:
        raise BackupError(
            f"{address!r} is no destination", hint="name a folder or s3://bucket/prefix"
        )
    if not address and (project.khive / DEFAULT).is_symlink():
        # A person may name a link; what came with a repository must not lead out of it.
        raise BackupError(f"{project.khive / DEFAULT} is a symbolic link", hint="move it away")
    path = Path(project.root, Path(address).expanduser()) if address else project.khive / DEFAULT
    return Folder(path)
