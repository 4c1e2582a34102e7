"""Tokens and their rights. `.khive/server.tokens` has the digests, `server.token` the local one.

A token is 256 random bits, so one SHA-256 of it is as hard to undo as many. It is shown once, when
it is made. Only the local token lies there as it is, in a file of mode 0600: whoever can read that
can read the databases beside it. Our own commands and a person at this machine use it. The
list has a MAC by this user's key: one that came with git opens nothing.
"""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args

from khive_persist import clock
from khive_persist.errors import InvalidFileError, InvalidRecordError, NotFoundError, ProjectError
from khive_persist.files import read_regular
from khive_persist.project import Project, make_directory, write_private
from khive_persist.store.sqlite import write_lock
from khive_persist.trust import signed

Right = Literal["ingest", "read", "admin"]

RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
Role = Literal["member", "lead", "admin"]
# Of a team's server: a member's token is that of a person.
ROLES: Final[Mapping[Role, tuple[Right, ...]]] = {
    "member": ("ingest", "read"),
    "lead": ("read",),
    "admin": ("admin",),
}
FILE: Final = "server.tokens"
LOCAL_FILE: Final = "server.token"
LOCAL: Final = "local"
PREFIX: Final = "khive_"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_LOCK_SECONDS: Final = 10.0
_MOST_BYTES: Final = 4 << 20


class Token(NamedTuple):
    """The entry of a token.

    Attributes:
        name: The name that its owner gave it.
        rights: `ingest` to record, `read` to look, `admin` for both and all else.
        sha256: The digest of the token, in hex.
        created_at: The time of its making, in UTC, as `created_at` of a record.
        person: The person of a team whose records it is for; None where it is for those of all.
    """

    name: str
    rights: tuple[Right, ...]
    sha256: str
    created_at: str
    person: str | None = None

    @property
    def role(self) -> Role:
        """The role of its owner at a team's server."""
        if "admin" in self.rights:
            return "admin"
        return "lead" if self.person is None else "member"

    def may(self, right: Right) -> bool:
        """Return whether it gives this right."""
        return right in self.rights or "admin" in self.rights


class Tokens:
    """The tokens of one project, read anew whenever their file has changed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._path = project.khive / FILE
        self._local = project.khive / LOCAL_FILE
        self._seen: tuple[int, int, int] | None = None
        self._known: tuple[Token, ...] = ()

    def list(self) -> tuple[Token, ...]:
        """Return all of them, in the order in which they were made; none of a list that is not
        ours.

        Raises:
            InvalidFileError: The file is not one of ours.
            ProjectError: It cannot be read.
        """
        try:
            status = os.stat(self._path)
            fingerprint = status.st_mtime_ns, status.st_size, status.st_ino
            if fingerprint != self._seen:
                self._known = _read(self._project, self._path)
                self._seen = fingerprint
        except FileNotFoundError:
            self._seen, self._known = None, ()
        except OSError as error:
            raise ProjectError(f"{self._path}: {error.strerror}") from error
        return self._known

    def find(self, token: str) -> Token | None:
        """Return what is known of a token; None for one that is not known. In constant time."""
        digest = _digest(token)
        match = None
        for candidate in self.list():
            if hmac.compare_digest(candidate.sha256, digest):
                match = candidate
        return match

    def named(self, name: str) -> Token | None:
        """Return the token of a name."""
        return next((token for token in self.list() if token.name == name), None)

    def create(self, name: str, rights: Iterable[Right], person: str | None = None) -> str:
        """Make a token: its digest is stored and synced on return. It is given only here.

        Args:
            name: Small letters, digits, `-` and `_`.
            rights: Its rights.
            person: The person of a team for whose records alone it is; not of an admin's.

        Raises:
            InvalidRecordError: The name is taken or is none, there is no right, or an admin's has
                a person.
            ProjectError: The file cannot be written.
        """
        chosen = tuple(right for right in RIGHTS if right in set(rights))
        if not _NAME.match(name):
            raise InvalidRecordError(
                f"{name!r} cannot name a token", hint="use small letters, digits, - and _"
            )
        if not chosen:
            raise InvalidRecordError("a token has a right", hint="one of " + ", ".join(RIGHTS))
        if person is not None and (not person or "admin" in chosen):
            raise InvalidRecordError("a token of one person has a name of them, and is no admin's")
        with write_lock.held(self._path.with_name(FILE + ".lock"), _LOCK_SECONDS):
            self._set_foreign_aside()
            if self.named(name) is not None:
                raise InvalidRecordError(
                    f"there is a token {name} already", hint="revoke it, or choose another name"
                )
            return self._add(name, chosen, person)

    def revoke(self, name: str) -> None:
        """Forget a token: it opens nothing on return.

        Raises:
            NotFoundError: There is none of that name.
            ProjectError: The file cannot be written.
        """
        with write_lock.held(self._path.with_name(FILE + ".lock"), _LOCK_SECONDS):
            remaining = [token for token in self.list() if token.name != name]
            if len(remaining) == len(self.list()):
                raise NotFoundError(f"there is no token {name}")
            self._write(remaining)
            if name == LOCAL:
                self._local.unlink(missing_ok=True)

    def local(self) -> str:
        """Return the local token, with every right, made where there is none.

        Raises:
            ProjectError: It cannot be read or written.
        """
        self._project.make()
        try:
            with write_lock.held(self._path.with_name(FILE + ".lock"), _LOCK_SECONDS):
                try:
                    token = read_regular(self._local, _MOST_BYTES).decode("ascii").strip()
                except (FileNotFoundError, UnicodeDecodeError):
                    token = ""
                self._set_foreign_aside()
                match = self.find(token) if token else None
                if match is not None and match.name == LOCAL:
                    return token
                self._write([entry for entry in self.list() if entry.name != LOCAL])
                token = self._add(LOCAL, ("admin",))
                write_private(self._local, token.encode() + b"\n")
                return token
        except OSError as error:
            raise ProjectError(f"{self._local}: {error.strerror}") from error

    def _set_foreign_aside(self) -> None:
        """Keep a list that is not ours where a person can look at it: ours is made in its place."""
        is_there = os.path.lexists(self._path)
        if is_there and not signed.is_believed(self._project.khive, FILE, self._path):
            make_directory(self._project.quarantine)
            os.rename(self._path, self._project.quarantine / f"{FILE}.{clock.new_id()}")
            self._seen = None

    def _add(self, name: str, rights: tuple[Right, ...], person: str | None = None) -> str:
        token = PREFIX + secrets.token_urlsafe(32)
        entry = Token(name, rights, _digest(token), clock.to_text(clock.now()), person)
        self._write([*self.list(), entry])
        return token

    def _write(self, tokens: Iterable[Token]) -> None:
        content = {"tokens": [token._asdict() for token in tokens]}
        try:
            write_private(self._path, signed.dump(self._project.khive, FILE, content))
        except OSError as error:
            raise ProjectError(f"{self._path}: {error.strerror}") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _read(project: Project, path: Path) -> tuple[Token, ...]:
    if not signed.is_believed(project.khive, FILE, path):
        return ()
    try:
        return tuple(_token(entry) for entry in signed.read(path)["tokens"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidFileError(
            f"{path} is no list of tokens", hint="remove it, and make the tokens anew"
        ) from error


def _token(entry: dict[str, Any]) -> Token:
    rights = tuple(right for right in RIGHTS if right in entry["rights"])
    if not isinstance(entry["name"], str) or not isinstance(entry["sha256"], str):
        raise TypeError("not text")
    # A list of an earlier version has no persons.
    person = entry.get("person")
    if not isinstance(person, str | None):
        raise TypeError("not text")
    return Token(entry["name"], rights, entry["sha256"], str(entry["created_at"]), person)
