"""The address of a team's database, checked, and with its password."""

from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from khive_persist.errors import InvalidSettingsError
from khive_persist.web_requests import is_loopback

_ENCRYPTED: Final = {"require", "verify-ca", "verify-full"}


def address_of(url: str, password: str = "") -> str:
    """Return an address as a driver takes it.

    Args:
        url: `postgresql://USER@HOST/DATABASE?sslmode=verify-full`; without `sslmode` for a server
            of this machine.
        password: The password; empty for none.

    Raises:
        InvalidSettingsError: It is no such address, or what is sent would go to another machine in
            clear text.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise InvalidSettingsError("the database has no such address", hint="write postgresql://…")
    user, _, hosts = parts.netloc.rpartition("@")
    options = parse_qs(parts.query)
    names = [urlsplit(f"//{host}").hostname or "" for host in hosts.split(",") if host]
    names += [host for host in options.get("host", []) if not host.startswith("/")]
    mode = options.get("sslmode", [""])[0]
    if mode not in _ENCRYPTED and not all(map(is_loopback, names)):
        raise InvalidSettingsError(
            f"records would go to {', '.join(names)} in clear text",
            hint="write postgresql://…?sslmode=verify-full",
        )
    if not password:
        return url
    name = user.partition(":")[0]
    return parts._replace(netloc=f"{name}:{quote(password, safe='')}@{hosts}").geturl()
