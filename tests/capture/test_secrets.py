"""A secret that a tool sent is found in no file of .khive once its event is drained."""

import json
import sqlite3
from pathlib import Path

import anyio
import pytest

from khive_persist import PlannerSession, open_store
from khive_persist.capture.drain import drain
from khive_persist.capture.spool import Spool
from khive_persist.models.purposes import HOOK_EVENTS
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_writer

# In parts, so that no scanner takes this file for a leak.
SECRETS = {
    "aws": "AKIA" + "Z7QK3M5NPR2TWXY8"[:16],
    "github": "ghp_" + "A1b2C3d4" * 4 + "E5f6",
    "anthropic": "sk-ant-" + "api03-" + "x9Y8z7W6" * 11,
    "openai": "sk-proj-" + "q1W2e3R4" * 8,
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "url": "hunter2" + "-s3cret",
    "bearer": "tok3n" + "A9b8C7d6E5f4G3h2",
    "pem": "MIIEowIBAAKCAQEA7bq" + "K9x2Lw8Zr4Tn6",
}
TEXTS = {
    "aws": "export AWS_ACCESS_KEY_ID={}",
    "github": "git clone with {}",
    "anthropic": "ANTHROPIC_API_KEY={}",
    "openai": '{{"key": "{}"}}',
    "jwt": "cookie: session={};",
    "url": "psql postgres://admin:{}@db.example/app",
    "bearer": "curl -H 'Authorization: Bearer {}'",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
}
STAYS = ("9fceb02d0ae598e95dc970b74767f19372d61af8", "3aeaa724-c75a-4fc5-9e77-8feafee36ced",
         "/home/dev/src/a/very/long/path/to/some/module/that/goes/on/and/on.py")  # fmt: skip


def payloads(text: str) -> list[bytes]:
    """The text in a command, an output, a nested key, lines of a patch, and no JSON at all."""
    common: dict[str, object] = {
        "session_id": "s1",
        "cwd": STAYS[2],
        "commit": STAYS[0],
        "uuid": STAYS[1],
    }
    documents: list[dict[str, object]] = [
        {"hook_event_name": "PreToolUse", "tool_name": "Bash", "tool_input": {"command": text}},
        {"hook_event_name": "PostToolUse", "tool_name": "Bash", "tool_response": {"stdout": text}},
        {"hook_event_name": "Stop", "deep": [{"er": {text: text}}]},
        {"hook_event_name": "PostToolUse", "tool_name": "Edit",
         "tool_response": {"lines": [f"+{line}" for line in text.splitlines()]}},
        {"hook_event_name": "PostToolUse", "tool_response": json.dumps({"inner": text})},
    ]  # fmt: skip
    made = [json.dumps(common | document).encode() for document in documents]
    escaped = "".join(f"\\u{ord(c):04x}" if c.isascii() else c for c in text)
    made.append(b'{"hook_event_name":"Stop","session_id":"s1","x":"' + escaped.encode() + b'"}')
    made.append(b"not JSON: " + text.encode())
    made.append(("not JSON: " + text).encode("utf-16"))
    return made


def found_in(khive: Path, secret: str) -> list[str]:
    needles = [secret.encode(), secret.encode("utf-16-le")]
    return [
        str(path)
        for path in khive.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


@pytest.mark.parametrize("kind", list(SECRETS))
@pytest.mark.parametrize("tool", ["claude-code", "codex", "gemini-cli"])
def test_no_file_has_the_secret(project: Project, kind: str, tool: str) -> None:
    secret = SECRETS[kind]
    spool = Spool(project)
    for payload in payloads(TEXTS[kind].format(secret)):
        spool.accept(tool, payload)
    path = project.database(HOOK_EVENTS[tool].file)
    open_writer(path, HOOK_EVENTS[tool]).close()
    # A reader that stays keeps the WAL from being written back, so that it can be looked into.
    watcher = sqlite3.connect(path, isolation_level=None)
    watcher.execute("BEGIN")
    watcher.execute("SELECT count(*) FROM hook_events").fetchone()
    result = drain(project)
    assert (result.waiting_count, result.errors) == (0, ())
    assert path.with_name(path.name + "-wal").stat().st_size > 0
    assert found_in(project.khive, secret) == []
    watcher.execute("COMMIT")
    rows = watcher.execute("SELECT content, node_metadata FROM hook_events").fetchall()
    watcher.close()
    assert all("redacted" in metadata for _, metadata in rows)
    assert all("[REDACTED:" in content or "base64" in content for content, _ in rows)
    for content, _ in rows[:5]:
        assert all(word in content for word in STAYS)


def test_plans_are_redacted_too(project: Project) -> None:
    async def save() -> PlannerSession:
        async with open_store(PlannerSession, dir=project.root) as plans:
            content = {"session_id": "s", "task_description": "use " + SECRETS["github"]}
            saved = await plans.save(PlannerSession(content=content))
            assert found_in(project.khive, SECRETS["github"]) == []
            return await plans.get(saved.id)

    plan = anyio.run(save)
    assert plan.content["task_description"].startswith("use [REDACTED:github")
    assert plan.node_metadata["redacted"]


def test_redaction_can_be_turned_off_and_has_exceptions(project: Project) -> None:
    spool = Spool(project)
    payload = payloads("see " + SECRETS["github"])[0]
    project.local_config.write_text("[redaction]\nallow = ['ghp_[A-Za-z0-9]+']\n")
    spool.accept("claude-code", payload)
    drain(project)
    allowed = found_in(project.khive, SECRETS["github"])
    assert allowed
    project.local_config.write_text("[redaction]\nenabled = false\n")
    spool.accept("codex", payload)
    drain(project)
    assert len(found_in(project.khive, SECRETS["github"])) > len(allowed)


def test_the_same_secret_has_the_same_placeholder_here_and_another_elsewhere(
    project: Project, tmp_path: Path
) -> None:
    other = Project(tmp_path / "other")
    other.root.mkdir()
    tags = []
    for one in (project, project, other):
        Spool(one).accept("claude-code", payloads(SECRETS["github"])[0])
        drain(one)
        connection = sqlite3.connect(one.database("claude_hooks.db"))
        tags.append(
            connection.execute("SELECT command FROM events ORDER BY created_at DESC").fetchone()[0]
        )
        connection.close()
    assert tags[0] == tags[1] != tags[2]
