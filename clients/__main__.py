"""python -m clients [--client NAME]… [--scenario NAME]… [--pin NAME=VERSION]…: run the matrix.

It installs a wheel of this checkout and the programs from npm into a scratch folder, runs each
against a model on loopback, and writes what came of it to clients/results.json and
docs/reference/clients.md. Clients and scenarios that are not asked for stay there as they were.
"""

import argparse
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from clients import install, results, scenarios
from clients.client import Client
from clients.known import CLIENTS, NOT_RUN
from clients.matrix import run_client
from clients.results import ClientResult
from clients.run import RunError
from clients.table import page

_PAGE: Final = Path(__file__).parents[1] / "docs" / "reference" / "clients.md"
_SECONDS: Final = 180.0


def main() -> int:
    """Run what is asked for; exit code 1 where something failed or could not be installed."""
    parser = argparse.ArgumentParser(prog="python -m clients", description=__doc__)
    names = [client.name for client in CLIENTS]
    parser.add_argument("--client", action="append", choices=names, default=[], dest="clients")
    parser.add_argument("--scenario", action="append", default=[], dest="scenarios")
    parser.add_argument(
        "--pin", action="append", default=[], metavar="NAME=VERSION", help="not the newest version"
    )
    parser.add_argument(
        "--folder", type=Path, help="the scratch folder, which stays then; else it goes at the end"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=_SECONDS,
        help="limit for each program (default %(default)g)",
    )
    parser.add_argument("--results", type=Path, default=results.RECORDED)
    parser.add_argument("--page", type=Path, default=_PAGE)
    arguments = parser.parse_args()
    # What was started and mounted has an end then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    pins = dict(pin.split("=", 1) for pin in arguments.pin)
    try:
        chosen = scenarios.chosen(arguments.scenarios)
    except RunError as error:
        parser.error(str(error))
    recorded = results.read(arguments.results)

    def keep(client: Client, result: ClientResult) -> None:
        before = recorded.get(client.name)
        # Results of two versions do not stand in one table.
        is_same = before is not None and before.version == result.version
        if arguments.scenarios and before is not None and is_same:
            result = replace(result, results=before.results | result.results)
        results.write(arguments.results, recorded | {client.name: result})
        text = page(CLIENTS, NOT_RUN, scenarios.SCENARIOS, results.read(arguments.results))
        arguments.page.write_text(text, "utf-8")

    has_failed = False
    with ExitStack() as stack:
        folder = arguments.folder or Path(
            stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        )
        khive_program = install.khive_persist(folder.resolve())
        for client in CLIENTS:
            if arguments.clients and client.name not in arguments.clients:
                continue
            result = run_client(
                client, chosen, folder.resolve(), khive_program, arguments.seconds,
                pins.get(client.name, ""), CLIENTS, partial(keep, client),
            )  # fmt: skip
            keep(client, result)
            recorded = results.read(arguments.results)
            has_failed |= not result.results
            has_failed |= any(one.status == "failed" for one in result.results.values())
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main())
