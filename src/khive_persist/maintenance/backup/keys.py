"""Keys of age: public ones to encrypt for, secret ones to decrypt with."""

from pathlib import Path
from typing import Any

from khive_persist.errors import BackupError, extra


def read_recipients(names: tuple[str, ...]) -> tuple[Any, ...]:
    """Parse the public keys to encrypt for.

    Args:
        names: Each an age or SSH public key (`age1…`, `ssh-…`), or a file with one a line.

    Raises:
        BackupError: One is neither.
        MissingExtraError: pyrage is not installed.
    """
    if not names:
        return ()
    pyrage = pyrage_module()
    recipients = []
    for word in names:
        for key in [word] if word.startswith(("age1", "ssh-")) else _lines(word):
            kind = pyrage.ssh if key.startswith("ssh-") else pyrage.x25519
            try:
                recipients.append(kind.Recipient.from_str(key))
            except pyrage.RecipientError as error:
                raise BackupError(f"{key!r} is no age recipient ({error})") from error
    if not recipients:
        raise BackupError(f"no recipient in {', '.join(names)}")
    return tuple(recipients)


def read_identities(files: tuple[str, ...]) -> tuple[Any, ...]:
    """Read the secret keys to decrypt with.

    Args:
        files: Each as `age-keygen` writes it, or an OpenSSH private key without a passphrase.

    Raises:
        BackupError: One is neither.
        MissingExtraError: pyrage is not installed.
    """
    if not files:
        return ()
    pyrage = pyrage_module()
    identities: list[Any] = []
    for file in files:
        lines = _lines(file)
        try:
            if lines and lines[0].startswith("-----BEGIN"):
                identities.append(pyrage.ssh.Identity.from_buffer(Path(file).read_bytes()))
            else:
                identities += [pyrage.x25519.Identity.from_str(line) for line in lines]
        except pyrage.IdentityError as error:
            # The line itself is a secret: it is not repeated.
            raise BackupError(f"{file} holds no age identity ({error})") from error
    return tuple(identities)


def pyrage_module() -> Any:
    """Import and return pyrage.

    Raises:
        MissingExtraError: It is not installed.
    """
    with extra("backup", "encryption"):
        import pyrage
    return pyrage


def _lines(file: str) -> list[str]:
    try:
        text = Path(file).expanduser().read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BackupError(f"{file}: {reason}", hint="name a key, or a file with keys") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
