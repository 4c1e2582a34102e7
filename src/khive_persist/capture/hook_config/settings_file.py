"""Read a settings file of an AI tool, and write it as a whole or not at all."""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from khive_persist.capture.hook_config.json_edit import InvalidJsonError, JsonText
from khive_persist.errors import InvalidSettingsError
from khive_persist.project import sync_directory

T = TypeVar("T")

_NEW_FILE: Final = 0o666
_MOST_TRIES: Final = 100
# What an empty file stands for, which a tool or an editor made.
_EMPTY: Final = "{}\n"


class SettingsFile:
    """A JSON file that belongs to a tool and its user, and that we may edit.

    Args:
        path: The path that the tool reads; a symbolic link there stays, and its target is edited.
        comments: Whether the tool reads comments in it.
    """

    def __init__(self, path: Path, *, comments: bool) -> None:
        self.path = path
        self._comments = comments

    def read(self, view: Callable[[JsonText | None], T]) -> T:
        """Return the result of `view` for the text; None stands for no file.

        Raises:
            InvalidSettingsError: The file cannot be read, is not a JSON object in UTF-8, or `view`
                raised `InvalidJsonError`.
        """
        content = self._content()
        try:
            return view(None if content is None else self._parsed(content))
        except InvalidJsonError as error:
            raise self._refused(error) from error

    def edit(self, change: Callable[[JsonText | None], str | None]) -> bool:
        """Write the result of `change` for the text; None stands for no file.

        A file that another program changed meanwhile is read and changed anew, up to a hundred
        times. An empty one is `{}`. The file keeps its mode, and its owner where it may; it is
        synced before it takes the place.

        Returns:
            Whether anything was written; a file that has the text already is not touched.

        Raises:
            InvalidSettingsError: The file cannot be read or written, is not a JSON object, or
                `change` raised `InvalidJsonError`; it is as it was.
        """
        for _ in range(_MOST_TRIES):
            original = self._content()
            try:
                text = change(None if original is None else self._parsed(original))
            except InvalidJsonError as error:
                raise self._refused(error) from error
            if original is not None and not original.strip() and text == _EMPTY:
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

    def _parsed(self, content: bytes) -> JsonText:
        try:
            text = content.decode() if content.strip() else _EMPTY
            return JsonText(text, comments=self._comments)
        except UnicodeDecodeError as error:
            raise InvalidSettingsError(
                f"{self.path} is not UTF-8 (byte {error.start + 1})",
                hint="it was left as it is; save it as UTF-8",
            ) from error

    def _refused(self, error: InvalidJsonError) -> InvalidSettingsError:
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
