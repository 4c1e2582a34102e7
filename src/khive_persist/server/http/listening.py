"""The listening socket of a server, and the check of its address."""

import ipaddress
import socket
from typing import Final, NamedTuple

from khive_persist.errors import InvalidSettingsError, ProjectError
from khive_persist.web_requests import is_loopback

_BACKLOG: Final = 512


class Tls(NamedTuple):
    """The files of a certificate and its key, in PEM."""

    certificate: str
    key: str


def check_exposure(address: str, *, has_tls: bool, needs_token: bool, is_insecure: bool) -> None:
    """Refuse to let others listen in.

    Raises:
        InvalidSettingsError: The address is not this machine's own, and there is no token; or no
            TLS, and nobody has said that this is meant.
    """
    if is_loopback(address):
        return
    if not needs_token:
        raise InvalidSettingsError(
            f"{address} can be reached by others, and no token is asked for",
            hint="set server.require_token = true",
        )
    if not has_tls and not is_insecure:
        raise InvalidSettingsError(
            f"{address} can be reached by others, who could read tokens and payloads on the way",
            hint="give --tls-cert and --tls-key, or say --insecure",
        )


def listen(address: str, port: int) -> socket.socket:
    """Return a socket that is bound and listens; port 0 takes a free one.

    Raises:
        ProjectError: It cannot be bound, as where another program has the port.
    """
    try:
        addresses = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, at = addresses[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(at)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ProjectError(
            f"cannot listen on {address} port {port} ({reason})", hint="choose another with --port"
        ) from error
    listener.setblocking(False)
    return listener


def url_of(listening: socket.socket, address: str, *, has_tls: bool) -> str:
    """Return where a browser of this machine finds it."""
    port = listening.getsockname()[1]
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        host = address
    else:
        if parsed.is_unspecified:
            host = "[::1]" if parsed.version == 6 else "127.0.0.1"
        else:
            host = f"[{parsed}]" if parsed.version == 6 else str(parsed)
    return f"{'https' if has_tls else 'http'}://{host}:{port}"
