"""The sessions that the real clients sent and wrote, as this repository has them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from khive_persist.capture.payload_to_row import file_of, normalise
from khive_persist.capture.spool import Event
from khive_persist.capture.spool_writer import TOOLS
from khive_persist.cli.commands.demo import PLANS
from khive_persist.models.purposes import Purpose
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store import codec
from khive_persist.store.redacting import load_redactor
from khive_persist.transcripts.sync import Sync
from tests.factories import NOON, plan, save_many, store_rows
from tests.payloads import sample_payloads

_TESTS: Final = Path(__file__).parents[2]
_SAMPLES: Final = _TESTS / "transcripts" / "samples"
_SCENARIOS: Final = _TESTS / "transcripts" / "scenarios"
_CLIENTS: Final = _TESTS / "clients"
_TRANSCRIPTS: Final = {
    "claude-code": (_SAMPLES / "claude-code", _SCENARIOS / "claude-code"),
    "codex": (_SAMPLES / "codex", _SCENARIOS / "codex"),
    "gemini-cli": (_SAMPLES / "gemini-cli", _SCENARIOS / "gemini-cli"),
    "cline": (_CLIENTS / "cline" / "transcripts",),
    "copilot-cli": (_CLIENTS / "copilot_cli" / "transcripts",),
    "droid": (_CLIENTS / "droid" / "home",),
    "kimi-code": (_CLIENTS / "kimi_code" / "sessions",),
    "pi": (_CLIENTS / "pi" / "transcripts",),
    "qwen-code": (_CLIENTS / "qwen_code" / "home",),
}


class _TypedRow(NamedTuple):
    purpose: Purpose
    row: codec.Row


def store_samples(project: Project) -> None:
    """Store every sample: transcripts as a sync does, payloads as a drain, plans of the demo."""
    settings = Settings()
    sync = Sync(project, settings, load_redactor(project, settings))
    for tool, folders in _TRANSCRIPTS.items():
        for folder in folders:
            pattern = "*.messages.json" if tool == "cline" else "*.jsonl"
            for path in sorted(folder.rglob(pattern)):
                sync.run(path, tool)
    rows: dict[Purpose, list[codec.Row]] = {}
    for event in _events(project, settings):
        rows.setdefault(event.purpose, []).append(event.row)
    for purpose, of_purpose in rows.items():
        store_rows(project, purpose, of_purpose)
    plans = [
        plan(at=minute, id=str(uuid5(NAMESPACE_URL, f"plan {minute}")), **content)
        for minute, content in enumerate(PLANS)
    ]
    save_many(project, plans)


def _events(project: Project, settings: Settings) -> Iterator[_TypedRow]:
    redactor = load_redactor(project, settings)
    arrival = NOON
    for tool in TOOLS:
        for number, payload in enumerate(sample_payloads(tool)):
            arrival += timedelta(seconds=7)
            id = str(uuid5(NAMESPACE_URL, f"{tool} {number}"))
            nanoseconds = int(arrival.timestamp()) * 10**9
            event = Event(f"{tool}.event", nanoseconds, id, tool, False, False, "")
            row = normalise(event, payload, settings, redactor)
            yield _TypedRow(file_of(event, row), row)
