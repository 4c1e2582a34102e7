"""`khive-persist demo`."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import anyio
import click

from khive_persist.capture import hook_path
from khive_persist.cli.exit_codes import DONE, FAILED
from khive_persist.cli.options import named_directory, with_project
from khive_persist.cli.root import root
from khive_persist.errors import CaptureError
from khive_persist.models.planner_session import PlannerSession, PlannerSessionContent
from khive_persist.opening import open_store
from khive_persist.project import Project

QUERY = """SELECT tool, event_type, count(*) AS events, round(avg(duration_ms)) AS average_ms
FROM events WHERE event_type LIKE 'post_%' GROUP BY tool, event_type ORDER BY events DESC"""
PLANS: list[PlannerSessionContent] = [
    {"session_id": "3aeaa724-c75a-4fc5-9e77-8feafee36ced", "complexity": "complex",
     "task_description": "Move the importer to streams", "confidence": 0.86, "planning_cost": 0.42,
     "agent_count": 4, "workflow_pattern": "parallel",
     "phases": [
         {"name": "analyse", "description": "Find what holds a whole file in memory",
          "agents": [{"role": "researcher", "domain": "async-io"}]},
         {"name": "build", "description": "Read and parse a piece at a time",
          "agents": [{"role": "implementer", "domain": "parsers"}, {"role": "tester"}],
          "dependencies": ["analyse"]},
         {"name": "review", "description": "Compare memory and results with the old importer",
          "agents": [{"role": "critic"}], "dependencies": ["build"]},
     ],
     "evaluations": [
         {"config": {"name": "opus"}, "response_time_ms": 1834.2, "cost": 0.21,
          "evaluation": {"complexity": "complex", "total_agents": 4, "confidence": 0.9,
                         "summary": "The parser is the hard part"}},
         {"config": {"name": "sonnet"}, "response_time_ms": 1210.5, "cost": 0.21,
          "evaluation": {"complexity": "medium", "total_agents": 3, "confidence": 0.82,
                         "summary": "Three pieces that can be tested alone"}},
     ],
     "consensus": {"method": "weighted_vote", "complexity": "complex", "agreement": 0.74}},
    {"session_id": "949752ba-dbca-4cef-aed8-56a872909535", "complexity": "simple",
     "task_description": "Fix a typo in the help", "confidence": 0.97, "planning_cost": 0.02,
     "agent_count": 1, "workflow_pattern": "sequential"},
    {"session_id": "01a1fba8-446b-7642-a8e8-72f4564fd250", "complexity": "very_complex",
     "task_description": "Make the store survive a power loss", "confidence": 0.61,
     "planning_cost": 1.31, "agent_count": 7, "workflow_pattern": "hybrid"},
]  # fmt: skip


# Those that samples come with.
_TOOLS = ("claude-code", "codex", "gemini-cli")


@click.command("demo")
@with_project
def command() -> int:
    """Record sample sessions of three tools and look at them.

    What Claude Code, Codex and Gemini CLI really sent is put through the real hook, into a new
    directory (or DIR), and shown as you would look at your own.
    """
    chosen = named_directory()
    project_root = Path(chosen) if chosen else Path(tempfile.mkdtemp(prefix="khive-demo-"))
    project = Project(project_root)
    project.root.mkdir(parents=True, exist_ok=True)
    times = _record(project)
    anyio.run(_save_plans, project)
    click.echo(
        f"\n{len(times)} events of three tools recorded, "
        f"each by a hook of its own: {statistics.median(times) * 1e3:.0f} ms in the middle.\n"
    )
    failed = 0
    for words in (
        ["events", "--limit", "12"],
        ["sessions", "--limit", "6"],
        ["plans", "show", "3aeaa724"],
        ["query", QUERY],
        ["sessions", "--min-confidence", "0.6"],
        ["doctor"],
    ):
        command_line = " ".join(f'"{word}"' if " " in word else word for word in words)
        click.secho(f"$ khive-persist {command_line}", bold=True)
        code = root.main(["--dir", str(project.root), *words], standalone_mode=False)
        failed += bool(code)
        click.echo()
    click.echo("All of it is in files that you can open with sqlite3:")
    for path in sorted(project.khive.glob("*.db")):
        click.echo(f"  {path}")
    click.echo(f"and a second time in JSON that you can read, in {project.sessions}")
    click.echo("\nnext: khive-persist init, then khive-persist hooks install claude-code")
    return FAILED if failed else DONE


def _record(project: Project) -> list[float]:
    payloads = [
        (tool, line)
        for tool in _TOOLS
        for line in (files("khive_persist") / "samples" / f"{tool}.jsonl").read_bytes().splitlines()
    ]
    environment = dict(os.environ) | {"KHIVE_DIR": str(project.root)}
    times = []
    with click.progressbar(payloads, label="recording") as progress:
        for tool, payload in progress:
            began = time.perf_counter()
            process = subprocess.run(  # noqa: S603 - our own hook, with fixed words
                [sys.executable, "-I", "-S", str(hook_path()), "--tool", tool],
                input=payload, capture_output=True, env=environment, check=False,
            )  # fmt: skip
            times.append(time.perf_counter() - began)
            if process.returncode:
                raise CaptureError(process.stderr.decode().strip())
    return times


async def _save_plans(project: Project) -> None:
    async with open_store(PlannerSession, dir=project.root) as plans:
        for content in PLANS:
            await plans.save(PlannerSession(content=content))
