"""Keys of age: public ones to encrypt for, secret ones to decrypt with."""

from pathlib import Path
from typing import Any, Final

from khive_persist.errors import BackupError, MissingExtraError

INSTALL: Final = "pip install 'khive-persist[backup]'"


def read_recipients(words: tuple[str, ...]) -> tuple[Any, ...]:
    """Public keys to encrypt for.

    Args:
        words: Each an age or SSH public key (`age1…`, `ssh-…`), or a file with one a line.

    Raises:
        BackupError: One is neither.
        MissingExtraError: pyrage is not installed.
    """
    if not words:
        return ()
    pyrage = pyrage_module()
    found = []
    for word in words:
        for key in [word] if word.startswith(("age1", "ssh-")) else _lines(word):
            kind = pyrage.ssh if key.startswith("ssh-") else pyrage.x25519
            try:
                found.append(kind.Recipient.from_str(key))
            except pyrage.RecipientError as error:
                raise BackupError(f"{key!r} is no age recipient ({error})") from error
    if not found:
        raise BackupError(f"no recipient in {', '.join(words)}")
    return tuple(found)


def read_identities(files: tuple[str, ...]) -> tuple[Any, ...]:
    """Secret keys to decrypt with.

    Args:
        files: Each as `age-keygen` writes it, or an OpenSSH private key without a passphrase.

    Raises:
        BackupError: One is neither.
        MissingExtraError: pyrage is not installed.
    """
    if not files:
        return ()
    pyrage = pyrage_module()
    found: list[Any] = []
    for file in files:
        lines = _lines(file)
        try:
            if lines and lines[0].startswith("-----BEGIN"):
                found.append(pyrage.ssh.Identity.from_buffer(Path(file).read_bytes()))
            else:
                found += [pyrage.x25519.Identity.from_str(line) for line in lines]
        except pyrage.IdentityError as error:
            # The line itself is a secret: it is not repeated.
            raise BackupError(f"{file} holds no age identity ({error})") from error
    return tuple(found)


def pyrage_module() -> Any:
    """pyrage.

    Raises:
        MissingExtraError: It is not installed.
    """
    try:
        import pyrage
    except ImportError as error:
        raise MissingExtraError("encryption needs pyrage", hint=INSTALL) from error
    return pyrage


def _lines(file: str) -> list[str]:
    try:
        text = Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BackupError(f"{file}: {reason}", hint="name a key, or a file with keys") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
