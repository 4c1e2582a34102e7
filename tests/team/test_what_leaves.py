"""Nothing but what `push --dry-run` showed leaves; as `metrics` no text of a session."""

import getpass
import gzip
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from ahocorasick_rs import AhoCorasick

from khive_persist.models.event_types import POST, PRE
from khive_persist.models.purpose_registry import known_purposes
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.store.sqlite.connection import open_reader
from khive_persist.team import known_words
from khive_persist.team.push import push, rehearse
from tests.factories import make_project
from tests.search.labelled.samples import store_samples
from tests.team.team_server import TeamServer

# The words of the wire and of the fields, which no session has told.
FIELDS = """
    agent_count agent_id agent_type background bytes cache_read cache_write cache_write_1h
    complexity confidence cost cost_usd duration_ms ended_at evaluations event_type exit_code
    forked_from has_no_end_event input interrupted is_error items kind message_id metadata metrics
    model name output parent_agent_id parent_is_session parent_session_id parent_tool_use_id phases
    planning_cost position prompt_id prompt_tokens reasoning request_id response_time_ms role
    session_id source spawned_agent_id spawned_agent_type speed status success tokens tool
    tool_calls tool_name tool_results tool_use_id turn_id unreported_calls unreported_failures
    verdict web_searches completed pending in_progress person rule success partial failure
    fast standard global true false null
"""
ALLOWED = {
    word
    for text in (
        FIELDS, *known_words.event_types(), *PRE, *POST, *known_words.TOOL_NAMES,
        *known_words.CLIENTS, *known_words.ROLES, *known_words.MESSAGE_KINDS,
        *known_words.AGENT_TYPES, *known_words.COMPLEXITIES, *(p.name for p in BUILT_IN),
    )
    for word in text.split()
}  # fmt: skip


PIECE = re.compile(r"[\w./-]{5,}")
HEAD = {
    "POST /v0/team/records HTTP/0.0", "Accept-Encoding: identity", "Content-Length: 0",
    "Host: 0.0.0.0:0", "Content-Type: application/x-ndjson", "User-Agent: khive-persist",
    "Content-Encoding: gzip", "Accept: application/json", "Connection: close",
}  # fmt: skip


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, first_home: Path) -> Project:
    project = make_project(tmp_path_factory.mktemp("samples") / "project")
    store_samples(project)
    return project


def test_no_text_of_a_session_leaves_and_all_is_what_a_dry_run_showed(
    samples: Project, server: TeamServer, home: Path
) -> None:
    configure(samples, f"url = '{server.url}'\nform = 'metrics'\n")
    shown: list[str] = []
    anyio.run(rehearse, samples, lambda record: shown.append(f"{record.to_json()}\n"))
    assert server.raw == []
    pushed = anyio.run(push, samples)
    assert pushed.records == len(shown) == count_of(samples) > 1_000
    sent = b"".join(server.bodies).decode()
    assert sent == "".join(shown)

    # What came over the sockets are these bodies and the heads of the requests, and nothing else.
    heads = b"".join(server.raw)
    for body in server.bodies:
        heads = heads.replace(gzip.compress(body, mtime=0), b"")
    assert {re.sub(r"\d+", "0", line) for line in heads.decode().splitlines() if line} == HEAD

    strings = set(texts_of(samples))
    assert len(strings) > 3_000
    # Of a text that is a part of a word of the lists, what else is there?
    others = re.sub(
        r"[\w-]+(\.\d+[\w-]*)?", lambda word: "" if is_listed(word[0]) else word[0], sent
    )
    telling = sorted(filter(is_telling, strings))
    words = {text for text in telling if text.isidentifier()}
    leaked = {
        text
        for text in AhoCorasick(telling).find_matches_as_strings(sent, overlapping=True)
        if text not in words
    }
    leaked |= set(AhoCorasick(sorted(words)).find_matches_as_strings(others))
    assert leaked == set()
    pieces = {piece for text in strings for piece in PIECE.findall(text)}
    assert {piece for piece in pieces & {*PIECE.findall(others)} if is_telling(piece)} == set()
    for name in (getpass.getuser(), socket.gethostname(), str(samples.root), samples.root.name):
        assert name not in sent

    again: list[Any] = []
    anyio.run(rehearse, samples, again.append)
    assert again == []


def is_listed(word: str) -> bool:
    return word in ALLOWED or known_words.model_name(word) is not None


def is_telling(text: str) -> bool:
    """Return whether a text could tell of a session: no number, no time, no word of a list."""
    return len(text) > 3 and not is_listed(text) and not re.fullmatch(r"[\d.:TZ+ -]+", text)


def texts_of(project: Project) -> Iterator[str]:
    for purpose in known_purposes(project):
        path = project.database(purpose.file)
        if not path.exists():
            continue
        with open_reader(path) as reader:
            for id, content in reader.execute(f"SELECT id, content FROM {purpose.table}"):
                yield id
                yield from strings_in(json.loads(content))


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)


def count_of(project: Project) -> int:
    count = 0
    for purpose in known_purposes(project):
        path = project.database(purpose.file)
        if path.exists():
            with open_reader(path) as reader:
                count += reader.execute(f"SELECT count(*) FROM {purpose.table}").fetchone()[0]
    return count


def configure(project: Project, text: str) -> None:
    project.local_config.write_text(f"[team]\n{text}")
