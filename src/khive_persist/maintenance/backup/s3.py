"""Backups in a bucket of an S3-compatible store, through obstore."""

import html
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from khive_persist.errors import BackupError, NotFoundError, extra
from khive_persist.maintenance.backup.manifest import ID

_RETRIES: Final = 3
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class Bucket:
    """A prefix of a bucket. Keys, region and endpoint come from AWS's own variables."""

    def __init__(self, bucket: str, prefix: str, endpoint: str, *, scratch: Path) -> None:
        """Prepare to use it; nothing is sent yet.

        Args:
            prefix: The prefix of all keys, or an empty string.
            endpoint: The address of the service, or an empty string for what the variables say.
            scratch: The folder in which an object is assembled before it is sent.

        Raises:
            MissingExtraError: obstore is not installed.
            BackupError: The variables, or the endpoint, cannot be used.
        """
        with extra("backup", "S3"):
            import obstore
            from obstore.exceptions import BaseError
            from obstore.store import S3Store
        self._obstore = obstore
        self._errors = (BaseError, OSError, ValueError)
        self._name = "/".join(part for part in ("s3:/", bucket, prefix) if part)
        self._scratch = scratch
        endpoint = endpoint or next((os.environ[n] for n in _ENDPOINTS if os.environ.get(n)), "")
        if endpoint:
            _check_endpoint(endpoint)
        options: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        with self._with_backup_errors():
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                # Only an address that says http:// itself is spoken to without TLS.
                client_options={"allow_http": endpoint.startswith("http://")},
                retry_config={"max_retries": _RETRIES},
                **options,
            )

    def __str__(self) -> str:
        return self._name

    def ids(self) -> list[str]:
        with self._with_backup_errors():
            prefixes = self._obstore.list_with_delimiter(self._store)["common_prefixes"]
        names = (path.rpartition("/")[2] for path in prefixes)
        return sorted(name for name in names if ID.match(name))

    def read(self, id: str, name: str) -> Iterator[bytes]:
        with self._with_backup_errors():
            try:
                stream = self._obstore.get(self._store, f"{id}/{name}").stream()
            except FileNotFoundError:
                raise NotFoundError(f"backup {id}: {name} is missing") from None
            for content in stream:
                yield bytes(content)

    def write(self, id: str, name: str, produce: Callable[[IO[bytes]], object]) -> None:
        """Make an object; it is there once all of it has come."""
        # Whatever fails while it is put together must leave no half of it to be paid for.
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            produce(file)
            file.seek(0)
            with self._with_backup_errors():
                self._obstore.put(self._store, f"{id}/{name}", file)

    def delete(self, id: str, names: tuple[str, ...]) -> None:
        with self._with_backup_errors():
            for name in names:
                with suppress(FileNotFoundError):
                    self._obstore.delete(self._store, f"{id}/{name}")

    @contextmanager
    def _with_backup_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as error:
            raise BackupError(f"{self._name}: {_readable(str(error))}") from error


def _check_endpoint(endpoint: str) -> None:
    """Refuse what is no address of HTTP, and obstore does not survive."""
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise BackupError(f"{endpoint!r} is no address of an S3 service", hint="write https://host")


def _readable(text: str) -> str:
    """Return the message of an error of obstore's as one line for a person.

    Its own structure, spelled out, follows; a service answers in XML:
    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    summary = text.partition("Debug source")[0]
    code = re.search(r"<Code>([^<]*)</Code>", summary)
    if code is None:
        reason = summary.rpartition("Error performing ")[2]
    else:
        message = re.search(r"<Message>([^<]*)</Message>", summary)
        reason = f"{code[1]}: {message[1]}" if message else code[1]
    return " ".join(html.unescape(reason).split())
