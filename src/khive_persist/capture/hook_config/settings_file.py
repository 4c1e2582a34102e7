"""Read a settings file of an AI tool, and write it as a whole or not at all."""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

from khive_persist.capture.hook_config.invalid_text import InvalidTextError
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import sync_directory

T = TypeVar("T")
P = TypeVar("P")

_NEW_FILE: Final = 0o666
_MOST_TRIES: Final = 100


class SettingsFile(Generic[P]):
    """A file that belongs to a tool and its user, and that we may edit.

    Args:
        path: The path that the tool reads; a symbolic link there stays, and its target is edited.
        parse: A function that reads its text, and raises `InvalidTextError` for what is wrong.
        empty: The text that a file of white space stands for, which a tool or an editor made; an
            empty string where it stands for itself.
    """

    def __init__(self, path: Path, parse: Callable[[str], P], *, empty: str = "") -> None:
        self.path = path
        self._parse = parse
        self._empty = empty

    def read(self, view: Callable[[P | None], T]) -> T:
        """Return the result of `view` for the text; None stands for no file.

        Raises:
            InvalidSettingsError: The file cannot be read, is not of its format in UTF-8, or `view`
                raised `InvalidTextError`.
        """
        content = self._content()
        try:
            return view(None if content is None else self._parsed(content))
        except InvalidTextError as error:
            raise self._refused(error) from error

    def edit(self, change: Callable[[P | None], str | None]) -> bool:
        """Write the result of `change` for the text; None stands for no file.

        A file that another program changed meanwhile is read and changed anew, up to a hundred
        times. The file keeps its mode, and its owner where it may; it is synced before it takes
        the place.

        Returns:
            Whether anything was written; a file that has the text already is not touched.

        Raises:
            InvalidSettingsError: The file cannot be read or written, is not of its format, or
                `change` raised `InvalidTextError`; it is as it was.
        """
        for _ in range(_MOST_TRIES):
            original = self._content()
            try:
                text = change(None if original is None else self._parsed(original))
            except InvalidTextError as error:
                raise self._refused(error) from error
            if original is not None and not original.strip() and text == self._empty:
                return False
            content = None if text is None else text.encode()
            if content == original:
                return False
            try:
                if self._write(original, content):
                    return True
            except OSError as error:
                raise InvalidSettingsError(
                    f"{self.path} cannot be written ({error.strerror})",
                    hint="it was left as it is",
                ) from error
        raise InvalidSettingsError(
            f"another program writes {self.path} again and again",
            hint="stop it, then run this again; it was left as it is",
        )

    def _content(self) -> bytes | None:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidSettingsError(f"{self.path} cannot be read ({error.strerror})") from error

    def _parsed(self, content: bytes) -> P:
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise InvalidSettingsError(
                f"{self.path} is not UTF-8 (byte {error.start + 1})",
                hint="it was left as it is; save it as UTF-8",
            ) from error
        return self._parse(text if text.strip() or not self._empty else self._empty)

    def _refused(self, error: InvalidTextError) -> InvalidSettingsError:
        return InvalidSettingsError(
            f"{self.path}:{error.line}:{error.column}: {error}",
            hint="it was left as it is; correct it there, then run this again",
        )

    def _write(self, original: bytes | None, content: bytes | None) -> bool:
        """Put `content` in the place of `original`; False where that is no longer there."""
        target = Path(os.path.realpath(self.path))
        if content is None:
            if self._content() != original:
                return False
            target.unlink()
            sync_directory(target.parent)
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _NEW_FILE
        )
        try:
            with open(descriptor, "wb") as file:
                if original is not None:
                    old = os.stat(target)
                    with contextlib.suppress(PermissionError):
                        os.fchown(descriptor, old.st_uid, old.st_gid)
                    os.fchmod(descriptor, stat.S_IMODE(old.st_mode))
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            if self._content() != original:
                temporary.unlink()
                return False
            os.replace(temporary, target)
        except BaseException:  # Ctrl-C, too: its part goes.
            temporary.unlink(missing_ok=True)
            raise
        sync_directory(target.parent)
        return True
