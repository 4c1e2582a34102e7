"""Run clients through scenarios."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clients import comparison, install, recorder
from clients.client import Client
from clients.mock_model import Model, serving
from clients.results import ClientResult, Result
from clients.run import Run, RunError
from clients.scenarios import Scenario
from clients.stage import NotRunError, Stage


def run_client(
    client: Client,
    scenarios: Sequence[Scenario],
    folder: Path,
    khive_program: Path,
    seconds: float,
    version: str,
    all_clients: Sequence[Client],
    keep: Callable[[ClientResult], None],
) -> ClientResult:
    """Install a client, and run its scenarios; raises nothing that the client is to blame for.

    Args:
        client: The client.
        scenarios: The scenarios.
        folder: The scratch folder.
        khive_program: Our program, as it is installed.
        seconds: The limit for each program that is started.
        version: The version to install; an empty string for the newest.
        all_clients: The clients whose hooks lie beside each other in one scenario.
        keep: What is given the results so far, after each scenario.
    """
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    try:
        node_folder = install.node(folder / "npm")
        installed = install.client(client, folder / "npm", node_folder, version)
    except install.InstallError as error:
        return ClientResult(day=day, reason=str(error))
    result = ClientResult(installed.version, day, installed.failure)
    for scenario in scenarios:
        place = folder / "runs" / client.name / scenario.name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        with serving({}, place / "requests.jsonl") as model:
            run = Run(
                place, model.server_port, khive_program, installed.program, node_folder, seconds,
                scenario.project_name,
            )  # fmt: skip
            one = _play(scenario, Stage(client, run, model, all_clients))
        result.results[scenario.name] = one
        keep(result)
        print(f"{client.name} {scenario.name}: {one.status} {one.reason}", file=sys.stderr)
    return result


def _play(scenario: Scenario, stage: Stage) -> Result:
    failure = ""
    try:
        if scenario.is_prepared:
            stage.prepare()
        scenario.play(stage)
    except NotRunError as error:
        return Result("not run", str(error))
    except (RunError, OSError, ValueError) as error:
        failure = str(error) or type(error).__name__
    finally:
        stage.run.finish()
    if not scenario.is_counted:
        return Result("failed" if failure else "done", failure)
    try:
        result = _counted(stage.client, stage.run, stage.model)
    except (RunError, OSError, ValueError) as error:
        return Result("failed", failure or f"nothing could be counted: {error}")
    finally:
        stage.run.end()
    if not failure and not result.events.sent:
        failure = "the client sent no event"
    elif not failure and not (
        result.events.are_whole if scenario.is_cut else result.events.are_equal
    ):
        failure = "events differ"
        if result.events.foreign:
            failure = f"{result.events.foreign} events are stored as another client's"
    elif not failure and not (
        result.tokens.are_equal
        or (scenario.is_cut and not stage.client.keeps_cut_answers and result.tokens.are_none)
    ):
        failure = "tokens differ"
    result.status, result.reason = ("failed" if failure else "done"), failure
    return result


def _counted(client: Client, run: Run, model: Model) -> Result:
    # Before it reads the transcripts it stores what lies in the spool.
    run.khive("sync")
    stats = json.loads(run.khive("stats", "--json"))
    events = client.compare(run, comparison.stored_events(run.project / ".khive"))
    rows = json.loads(run.khive(
        "query", "SELECT count(*) AS messages FROM conversation WHERE role <> 'none'", "--json",
    ))  # fmt: skip
    costs = [one["cost"] for one in stats["tokens"] if one.get("cost") is not None]
    reported = [one["reported"] for one in stats["reported"] if one.get("reported") is not None]
    return Result(
        status="done",
        is_counted=True,
        events=events,
        tokens=comparison.tokens(model.told, stats["tokens"]),
        messages=rows[0]["messages"],
        names=comparison.names_of(recorder.sent(run.sent), client.event_names),
        cost=sum(costs) if costs else None,
        reported_cost=sum(reported) if reported else None,
    )
