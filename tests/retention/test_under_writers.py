"""Purges while others write: the session's bytes are nowhere, and nobody else's record is gone."""

import gzip
import json
import os
from pathlib import Path

import pytest

from khive_persist.capture.spool import Spool
from khive_persist.maintenance.retention.purge import purge
from khive_persist.models.purposes import BUILT_IN
from khive_persist.project import Project
from khive_persist.settings import Settings
from tests.factories import save_many
from tests.mirror.records import assert_equal, drained, recorded, recovered
from tests.mirror.writers import acknowledged
from tests.retention.events import event, put_plans
from tests.writers import writing

MORE = 60


def left(project: Project, needle: bytes) -> list[str]:
    """Files of `.khive` with these bytes. Databases are looked at when nobody has them open."""
    found = []
    for folder, _, files in os.walk(project.khive):
        for name in files:
            path = Path(folder) / name
            content = path.read_bytes() if path.is_file() else b""
            if path.suffix == ".gz":
                content = gzip.decompress(content)
            if needle in content:
                found.append(name)
    return found


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "times", [pytest.param(4, id="quick"), pytest.param(200, id="long", marks=pytest.mark.long)]
)
def test_a_session_goes_and_nobody_elses_record(project: Project, times: int) -> None:
    """Each session has a mark that no other record has."""
    marks = []
    words = [("mixed_writer", word) for word in "abc"]
    with writing(project, MORE, words) as writers:
        for number in range(times):
            before = [writer.go_on(MORE) for writer in writers]
            session, mark = f"to-go-{number}", f"MARK-{number}-"
            save_many(project, [event(1, session_id=session, command=mark) for _ in range(5)])
            put_plans(project, [session])
            payload = {"session_id": session, "prompt": mark}
            Spool(project).accept("codex", json.dumps(payload).encode())
            done = purge(project, session, BUILT_IN, Settings())
            assert sum(done.removed.values()) + done.spooled == 7
            assert done.is_complete, done
            marks.append(mark.encode())
            for writer, count in zip(writers, before, strict=True):
                writer.wait_until(count + 1)
    assert [writer.errors for writer in writers] == [""] * 3
    recovered(project)
    drained(project)
    assert acknowledged(writers).keys() - {id for _, id in recorded(project)} == set()
    assert_equal(project)
    assert {mark for mark in marks if left(project, mark)} == set()
