"""The process of a server: one a project, from its socket to its last answer."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import anyio
import uvicorn

from khive_persist.errors import ProjectError
from khive_persist.project import Project, write_private
from khive_persist.recorder.logs import LOGGER
from khive_persist.recorder.recovery import recover_all
from khive_persist.server import background_tasks, url_file
from khive_persist.server.app import build_app
from khive_persist.server.background_tasks import Rhythm
from khive_persist.server.context import Serving, begin_serving, end_serving
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.listening import Tls, check_exposure, listen, url_of
from khive_persist.server.http.protocol import guarded_protocol
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock

LOCK: Final = "server.lock"
GRACE_SECONDS: Final = 3
_OPEN_FILES: Final = 4_096

_log = logging.getLogger(LOGGER)


class Options(NamedTuple):
    """What the command line says of a server, before config.toml.

    Attributes:
        address: Where to listen, or None for what config.toml says.
        port: The same; 0 takes a free one.
        tls: A certificate and its key, or None for plain HTTP.
        is_insecure: Whether plain HTTP on another address than loopback is meant.
        limits: What a connection may cost.
        rhythm: How often it looks after things.
    """

    address: str | None = None
    port: int | None = None
    tls: Tls | None = None
    is_insecure: bool = False
    limits: Limits = Limits()
    rhythm: Rhythm = Rhythm()


class _Server(uvicorn.Server):
    """uvicorn's server, stopped by who runs it and not by signals of its own."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def serve(
    project: Project, settings: Settings, options: Options, ready: Callable[[str], None]
) -> None:
    """Serve a project until SIGTERM or SIGINT: then what has begun is answered, and it returns.

    Args:
        project: The project; made where it is missing.
        settings: Of its config.toml, for where to listen.
        options: What goes before them.
        ready: Called with the URL once requests are answered.

    Raises:
        InvalidSettingsError: It would be open to others without a token or TLS.
        ProjectError: Another server has this project, or the address cannot be had.
    """
    address = options.address or settings.server_address
    port = settings.server_port if options.port is None else options.port
    check_exposure(
        address,
        has_tls=options.tls is not None,
        needs_token=settings.server_require_token,
        is_insecure=options.is_insecure,
    )
    project.make()
    with _alone(project), contextlib.closing(listen(address, port)) as listening:
        recover_all(project, settings)
        url = url_of(listening, address, has_tls=options.tls is not None)
        write_private(project.server_url, url.encode() + b"\n")
        try:
            _allow_many_connections(options.limits)
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(_serve(project, address, listening, options, lambda: ready(url)))
        finally:
            project.server_url.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(project: Project) -> Iterator[None]:
    descriptor = write_lock.try_acquire(project.khive / LOCK)
    if descriptor is None:
        at = url_file.read(project) or "starting"
        raise ProjectError(
            f"{project.khive} has a server already ({at})", hint="stop that one first"
        )
    try:
        yield
    finally:
        os.close(descriptor)


async def _serve(
    project: Project,
    address: str,
    listening: socket.socket,
    options: Options,
    ready: Callable[[], None],
) -> None:
    serving = await begin_serving(project, address, options.limits)
    if serving.live.problem:
        _log.error("settings_wrong", extra={"fields": {"reason": serving.live.problem}})
    server = _Server(_config(serving, options), ready)
    reload_asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not from the handler itself: it may come in the midst of any line.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, serving, server)
    loop.add_signal_handler(signal.SIGHUP, reload_asked.set)
    rhythm = options.rhythm
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(background_tasks.keep_settings, serving, rhythm.settings, reload_asked)
            tasks.start_soon(background_tasks.keep_spool_empty, serving, rhythm.spool)
            tasks.start_soon(background_tasks.keep_backups, serving, rhythm.backup)
            tasks.start_soon(background_tasks.keep_synced, serving, rhythm.sync)
            tasks.start_soon(background_tasks.keep_packed, serving, rhythm.packing)
            tasks.start_soon(serving.reading.keep, serving.stopping)
            _log.info("started", extra={"fields": {"pid": os.getpid()}})
            # What is there by now stays: to look at it again and again costs a tenth.
            gc.collect()
            gc.freeze()
            await server.serve([listening])
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await end_serving(serving)
    _log.info("stopped", extra={"fields": {"pid": os.getpid()}})


def _stop(serving: Serving, server: uvicorn.Server) -> None:
    if server.should_exit:
        # A second time: whoever asks does not want to wait.
        server.force_exit = True
    server.should_exit = True
    serving.stopping.set()


def _config(serving: Serving, options: Options) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if options.tls is not None:
        tls = {"ssl_certfile": options.tls.certificate, "ssl_keyfile": options.tls.key}
    return uvicorn.Config(
        build_app(serving),
        http=guarded_protocol(options.limits),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(options.limits.idle_seconds),
        timeout_graceful_shutdown=GRACE_SECONDS,
        **tls,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        # It does not install everywhere; asyncio's own is slower.
        return None
    return uvloop.new_event_loop


def _allow_many_connections(limits: Limits) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(_OPEN_FILES, 2 * limits.connections)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
