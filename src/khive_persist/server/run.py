"""The process of a server: one a project, from its socket to its last answer."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import anyio
import uvicorn

from khive_persist.errors import ProjectError
from khive_persist.maintenance.running_server import LOCK
from khive_persist.project import Project, write_private
from khive_persist.recorder import SWITCH_SECONDS
from khive_persist.recorder.logs import LOGGER
from khive_persist.recorder.recovery import recover_all
from khive_persist.server import background_tasks, url_file
from khive_persist.server.background_tasks import Intervals
from khive_persist.server.http.limits import Limits
from khive_persist.server.http.listening import Tls, check_exposure, listen, url_of
from khive_persist.server.http.protocol import guarded_protocol
from khive_persist.server.server_parts import ServerParts, project_parts
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock

GRACE_SECONDS: Final = 3
_OPEN_FILES: Final = 4_096

_log = logging.getLogger(LOGGER)


class Options(NamedTuple):
    """The options of the command line, which come before config.toml.

    Attributes:
        address: The address to listen on, or None for that of config.toml.
        port: The port, or None for that of config.toml; 0 takes a free one.
        tls: The certificate and its key, or None for plain HTTP.
        is_insecure: Whether plain HTTP on another address than loopback is meant.
        limits: The limits of a connection.
        intervals: The intervals of the background tasks.
        store: The address of a team's database, whose records are served; None for the project's.
    """

    address: str | None = None
    port: int | None = None
    tls: Tls | None = None
    is_insecure: bool = False
    limits: Limits = Limits()
    intervals: Intervals = Intervals()
    store: str | None = None


class _Server(uvicorn.Server):
    """A server of uvicorn that is stopped by its caller, and not by signals of its own."""

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
        settings: The settings of its config.toml, for the address.
        options: The options that come before them.
        ready: The function called with the URL once requests are answered.

    Raises:
        InvalidSettingsError: It would be open to others without a token or TLS.
        ProjectError: Another server has this project, or the address cannot be had.
    """
    address = options.address or settings.server_address
    port = settings.server_port if options.port is None else options.port
    check_exposure(
        address,
        has_tls=options.tls is not None,
        needs_token=settings.server_require_token or options.store is not None,
        is_insecure=options.is_insecure,
    )
    project.make()
    sys.setswitchinterval(SWITCH_SECONDS)
    with _alone(project), contextlib.closing(listen(address, port)) as listening:
        if options.store is None:
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
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, version("khive-persist").encode() + b"\n", 0)
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
    parts = await _open_parts(project, address, options)
    if parts.live.problem:
        _log.error("settings_wrong", extra={"fields": {"reason": parts.live.problem}})
    server = _Server(_config(parts, options), ready)
    reload_requested = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Not from the handler itself: it may come in the midst of any line.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, parts, server)
    loop.add_signal_handler(signal.SIGHUP, reload_requested.set)
    keep_settings = partial(
        background_tasks.keep_settings,
        parts.live, options.intervals.settings, reload_requested, parts.settings_changed,
    )  # fmt: skip
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_settings)
            for task in parts.tasks:
                tasks.start_soon(task)
            _log.info("started", extra={"fields": {"pid": os.getpid()}})
            # What is there by now stays: to look at it again and again costs a tenth.
            gc.collect()
            gc.freeze()
            await server.serve([listening])
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await parts.close()
    _log.info("stopped", extra={"fields": {"pid": os.getpid()}})


async def _open_parts(project: Project, address: str, options: Options) -> ServerParts:
    if options.store is None:
        return await project_parts(project, address, options.limits, options.intervals)
    # A project's server needs no driver of a database.
    from khive_persist.server.team.team_parts import team_parts

    return await team_parts(project, address, options.limits, options.store)


def _stop(parts: ServerParts, server: uvicorn.Server) -> None:
    if server.should_exit:
        # A second time: whoever asks does not want to wait.
        server.force_exit = True
    server.should_exit = True
    parts.stopping.set()


def _config(parts: ServerParts, options: Options) -> uvicorn.Config:
    tls: dict[str, Any] = {}
    if options.tls is not None:
        tls = {"ssl_certfile": options.tls.certificate, "ssl_keyfile": options.tls.key}
    return uvicorn.Config(
        parts.app,
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
    limit = max(_OPEN_FILES, 2 * limits.connections)
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
