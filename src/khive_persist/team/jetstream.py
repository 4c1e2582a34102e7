"""The stream of a team's records in NATS JetStream: reaching it, making it, what a message is."""

import asyncio
import gzip
import os
import ssl
import zlib
from hashlib import blake2b
from typing import Any, Final
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Client, RawCredentials
from nats.js import JetStreamContext
from nats.js import errors as stream_errors
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from khive_persist.errors import DestinationError, InvalidSettingsError
from khive_persist.team.team_record import TeamRecord
from khive_persist.web_requests import is_loopback

STREAM: Final = "KHIVE_TEAM"
SUBJECTS: Final = "khive.team"
# Of a NATS server, or of the way to it: what was asked may be asked again.
NATS_ERRORS: Final = (nats.errors.Error, asyncio.TimeoutError, OSError)

_PORT: Final = 4222
_REPLICAS: Final = 3
# https://github.com/nats-io/nats-server/blob/main/server/errors.json
_IS_NO_CLUSTER: Final = 10074
_CREDENTIALS: Final = "-----BEGIN NATS USER JWT-----"
_DUPLICATES_SECONDS: Final = 300
_CONNECT_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.25
_PACKED_FROM_BYTES: Final = 65_536
_MOST_BYTES: Final = 64 * 1024 * 1024
_PACKED: Final = {"Content-Encoding": "gzip"}


class Servers:
    """The servers of one cluster, as a URL names them, and how they are connected to.

    A server of another machine has to have a certificate: nothing goes to one in clear text.
    """

    def __init__(self, url: str, secret: str = "") -> None:
        """Read a URL.

        Args:
            url: `nats://[USER@]HOST[:PORT][,HOST[:PORT]]…`.
            secret: A token, the password of the URL's user, or the text or the path of a file of
                credentials; empty for none.

        Raises:
            InvalidSettingsError: The URL names no server, or has a password.
        """
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
        if ":" in user or not all(urlsplit(f"//{host}").hostname for host in hosts.split(",")):
            raise InvalidSettingsError(
                "the address names no servers of NATS", hint="write nats://HOST:PORT,HOST:PORT"
            )
        self.name = hosts
        self._addresses = [f"{parts.scheme}://{_with_port(host)}" for host in hosts.split(",")]
        self._secrets = _secrets(user, secret)
        self._last_error: Exception | None = None

    async def connect(self) -> Client:
        """Connect to one of them; where it is lost, the client goes to another by itself.

        Raises:
            DestinationError: None answers within 10 seconds, or each refuses.
        """
        client = _EncryptedClient()
        work = client.connect(
            self._addresses,
            name="khive-persist",
            tls=_tls(),
            connect_timeout=2,
            reconnect_time_wait=_PAUSE_SECONDS,  # type: ignore[arg-type] # it may be a part of a second
            max_reconnect_attempts=int(_CONNECT_SECONDS / _PAUSE_SECONDS),
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=self._note,
            **self._secrets,
        )
        try:
            await asyncio.wait_for(work, _CONNECT_SECONDS)
        except NATS_ERRORS as error:
            await client.close()
            raise self.unavailable(error) from error
        except BaseException:
            await client.close()
            raise
        # Once there was a connection, it is sought for as long as it is needed.
        client.options["max_reconnect_attempts"] = -1
        return client

    def unavailable(self, error: BaseException | None) -> DestinationError:
        """Return the error that says that none of them does as it is asked."""
        if isinstance(error, DestinationError):
            return error
        # That there are no servers left says nothing of the cause.
        cause = None if isinstance(error, nats.errors.NoServersError) else error
        reason = _reason(cause) or _reason(self._last_error) or _reason(error) or "no answer"
        return DestinationError(f"{self.name}: {reason}", hint="what was not sent waits")

    async def _note(self, error: Exception) -> None:
        # A server that refuses says why, and may have hung up before all was said to it.
        if self._last_error is None or not isinstance(error, ConnectionError):
            self._last_error = error


class _EncryptedClient(Client):
    """Says nothing to a server of another machine that does not encrypt."""

    def _connect_command(self) -> bytes:
        host = self._current_server.uri.hostname if self._current_server else None
        if not self._server_info.get("tls_required") and not is_loopback(host or ""):
            raise nats.errors.SecureConnRequiredError
        return super()._connect_command()


async def make_stream(context: JetStreamContext) -> None:
    """Make the stream where it is missing: on three servers of a cluster, or on the only server.

    A record stays in it until it was collected; where it is full, no more are taken.

    Raises:
        nats.errors.Error: The servers do not take it; a cluster of two has no quorum.
        DestinationError: It is missing, and this user may not make it.
    """
    try:
        await context.stream_info(STREAM)
    except stream_errors.NotFoundError:
        config = StreamConfig(
            name=STREAM,
            subjects=[f"{SUBJECTS}.>"],
            retention=RetentionPolicy.WORK_QUEUE,
            discard=DiscardPolicy.NEW,
            storage=StorageType.FILE,
            num_replicas=_REPLICAS,
            duplicate_window=_DUPLICATES_SECONDS,
        )
        try:
            await context.add_stream(config)
        except stream_errors.APIError as error:
            if error.err_code != _IS_NO_CLUSTER:
                raise
            await context.add_stream(config.evolve(num_replicas=1))
        except TimeoutError as error:
            # Who may not ask gets no answer.
            raise DestinationError(
                f"the servers have no stream {STREAM}", hint="start collect, which makes it"
            ) from error


def subject_of(record: TeamRecord) -> str:
    """Return the subject of a record: one for all of its session, which so keep their order."""
    return f"{SUBJECTS}.{_token(record.project)}.{_token(record.session)}"


def message_of(record: TeamRecord) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a record's message."""
    body, headers = record.to_json().encode(), {"Nats-Msg-Id": record.message_id}
    if len(body) < _PACKED_FROM_BYTES:
        return body, headers
    return gzip.compress(body, compresslevel=1, mtime=0), headers | _PACKED


def record_of(body: bytes, headers: dict[str, str] | None) -> TeamRecord:
    """Return the record of a message.

    Raises:
        ValueError: It is none.
    """
    if headers and headers.get("Content-Encoding") == _PACKED["Content-Encoding"]:
        unpacking = zlib.decompressobj(wbits=31)
        try:
            body = unpacking.decompress(body, _MOST_BYTES)
        except zlib.error as error:
            raise ValueError(f"it is not packed as it says ({error})") from error
        if unpacking.unconsumed_tail or not unpacking.eof:
            raise ValueError("it is cut, or larger than 64 MiB")
    return TeamRecord.from_json(body)


def _reason(error: BaseException | None) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    return str(error or "").removeprefix("nats: ").strip("'")


def _token(name: str) -> str:
    # A name may have what no subject has, and a session of its own no other.
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _with_port(host: str) -> str:
    return host if urlsplit(f"//{host}").port else f"{host}:{_PORT}"


def _secrets(user: str, secret: str) -> dict[str, Any]:
    if secret.lstrip().startswith(_CREDENTIALS):
        return {"user_credentials": RawCredentials(secret)}
    if secret.endswith(".creds"):
        return {"user_credentials": secret}
    if user:
        return {"user": user, "password": secret}
    return {"token": secret} if secret else {}


def _tls() -> ssl.SSLContext:
    # Python reads SSL_CERT_FILE, which names the certificates of a firm's own authority.
    return ssl.create_default_context()
