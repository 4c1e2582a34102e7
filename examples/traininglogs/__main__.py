"""python -m examples.traininglogs log|history|best|recover [--dir DIR]

    log ATHLETE "squat: 5x100 5x100 5x105" "bench: 8x60" [--notes TEXT]
    history [ATHLETE] [--limit N]      the latest sessions
    best ATHLETE EXERCISE              the heaviest set of each session
    recover                            the database again from its JSON files

Each session is kept twice: a row in .khive/training_sessions.db, a JSON file in .khive/sessions.
"""

import argparse
import re
import sys
from pathlib import Path

import anyio

from examples.traininglogs.record import Exercise, Set, TrainingSession, training
from khive_persist import KhiveError, column, field, open_store, rebuild

SET = re.compile(r"(\d+)x(\d+(?:\.\d+)?)\Z")


async def log(directory: Path, athlete: str, lines: list[str], notes: str) -> None:
    """Save one session, and say where it is."""
    session = training(athlete, [exercise(line) for line in lines], notes)
    async with open_store(TrainingSession, dir=directory) as sessions:
        await sessions.save(session)
        print(f"{session.id} {session.content['volume_kg']:g} kg")
        print(f"saved in {sessions.paths[0]}")
    for path in sorted((directory / ".khive" / "sessions").glob(f"*_{session.id[:8]}*.json")):
        print(f"and in {path}")


async def history(directory: Path, athlete: str | None, limit: int) -> None:
    """Print the latest sessions, newest first."""
    filters = [field("athlete") == athlete] if athlete else []
    async with open_store(TrainingSession, dir=directory) as sessions:
        newest = await sessions.find(*filters, order_by=-column("created_at"), limit=limit)
        print(f"{await sessions.count(*filters)} sessions")
    for session in newest:
        done = ", ".join(one["name"] for one in session.content["exercises"])
        volume = session.content.get("volume_kg", 0)
        print(f"{session.created_at:%Y-%m-%d} {session.content['athlete']} {volume:g} kg: {done}")


async def best(directory: Path, athlete: str, name: str) -> None:
    """Print the heaviest set of an exercise in each session, oldest first."""
    async with open_store(TrainingSession, dir=directory) as sessions:
        async for session in sessions.stream(
            field("athlete") == athlete, order_by=column("created_at")
        ):
            sets = [
                one
                for exercise in session.content["exercises"]
                if exercise["name"] == name
                for one in exercise["sets"]
            ]
            if sets:
                heaviest = max(sets, key=lambda one: (one["kg"], one["reps"]))
                print(f"{session.created_at:%Y-%m-%d} {heaviest['reps']}x{heaviest['kg']:g}")


async def recover(directory: Path) -> None:
    """Make the database again from the JSON files, whatever became of it."""
    done = await rebuild("mirror", TrainingSession, dir=directory)
    print(f"{done.tallies['training_sessions'].rows} sessions, proven equal to their files")
    if done.set_aside:
        print(f"what was replaced lies in {done.set_aside}")


def exercise(line: str) -> Exercise:
    """`squat: 5x100 5x105` as an exercise of two sets."""
    name, _, rest = line.partition(":")
    sets: list[Set] = []
    for word in rest.split():
        found = SET.match(word)
        if found is None or int(found[1]) == 0:
            raise SystemExit(f"{word!r} is no set: write 5x100 for five repetitions of 100 kg")
        sets.append({"reps": int(found[1]), "kg": float(found[2])})
    if not name.strip() or not sets:
        raise SystemExit(f'{line!r} is no exercise: write "squat: 5x100 5x105"')
    return {"name": name.strip(), "sets": sets}


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.traininglogs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--dir", type=Path, default=Path(), help="where .khive is")
    commands = parser.add_subparsers(dest="command", required=True)
    logged = commands.add_parser("log")
    logged.add_argument("athlete")
    logged.add_argument("exercises", nargs="+")
    logged.add_argument("--notes", default="")
    listed = commands.add_parser("history")
    listed.add_argument("athlete", nargs="?")
    listed.add_argument("--limit", type=int, default=10)
    asked = commands.add_parser("best")
    asked.add_argument("athlete")
    asked.add_argument("exercise")
    commands.add_parser("recover")
    given = parser.parse_args(words)
    directory = given.dir.resolve()
    try:
        match given.command:
            case "log":
                anyio.run(log, directory, given.athlete, given.exercises, given.notes)
            case "history":
                anyio.run(history, directory, given.athlete, given.limit)
            case "best":
                anyio.run(best, directory, given.athlete, given.exercise)
            case "recover":
                anyio.run(recover, directory)
    except KhiveError as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main(sys.argv[1:])
