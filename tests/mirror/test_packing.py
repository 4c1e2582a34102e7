"""Streams of sessions that are over are packed: every reader knows both forms, nothing is lost."""

import gzip
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from khive_persist.copies import mirrored
from khive_persist.mirror import packed_streams, packing
from khive_persist.mirror.packing import MARKER, PackResult, pack, pack_if_due
from khive_persist.mirror.stream_file import StreamAppender, StreamLine, opened
from khive_persist.mirror.verify import compared
from khive_persist.mirror.write_locks import turn
from khive_persist.models.hook_event import HookEvent
from khive_persist.project import Project
from khive_persist.settings import Settings
from khive_persist.store.sqlite import write_lock
from tests.capture.test_drain import until
from tests.factories import save, save_many
from tests.mirror.records import CLAUDE, delete, drained, event, plan
from tests.payloads import Hook
from tests.server import warm

STREAM = "hook_events_2026_11_01_s1.jsonl"
PACKED = f"{STREAM}.gz"
LATER = "2026-11-09T12:00:00Z"


def grow_old(project: Project, days: float = 2) -> None:
    """As if nothing had been written to the mirror for so long."""
    at = time.time() - days * 86_400
    for path in project.sessions.glob("*.json*"):
        os.utime(path, (at, at), follow_symlinks=False)


def packed(project: Project) -> PackResult:
    grow_old(project)
    return pack(project, 1.0)


def names_in(project: Project) -> list[str]:
    return sorted(path.name for path in project.sessions.iterdir() if path.name[0] != ".")


def ids_in(path: Path) -> list[str]:
    raw = path.read_bytes()
    lines = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return [json.loads(line)["id"] for line in lines.splitlines()]


def are_equal(project: Project) -> bool:
    with compared(project, mirrored(project)) as comparison:
        return comparison.is_equal


@pytest.fixture
def filled(project: Project) -> Project:
    save_many(project, [event(f"e{number}", number=number) for number in range(5)])
    save(project, plan("p1"))
    return project


def test_a_session_that_is_over_is_packed_and_a_plan_never(filled: Project) -> None:
    before = (filled.sessions / STREAM).read_bytes()
    assert pack(filled, 1.0) == PackResult(0, True)
    assert packed(filled) == PackResult(1, True)
    assert names_in(filled) == [PACKED, "planner_session_2026_11_01_p1.json"]
    path = filled.sessions / PACKED
    assert gzip.decompress(path.read_bytes()) == before
    assert path.stat().st_mode & 0o777 == 0o600
    # No time, no name: the same lines give the same bytes.
    assert path.read_bytes()[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    assert are_equal(filled)


@pytest.mark.parametrize("program", ["zgrep", "zcat"])
def test_it_is_read_by_the_usual_programs(program: str, filled: Project) -> None:
    packed(filled)
    words = [program, "e3"] if program == "zgrep" else [program]
    done = subprocess.run([*words, filled.sessions / PACKED], capture_output=True, check=True)
    assert b'"id":"e3"' in done.stdout


def test_late_events_go_to_a_plain_file_beside_and_are_merged(filled: Project) -> None:
    packed(filled)
    save(filled, event("late", created_at=LATER), event("e1", number="again"))
    assert names_in(filled)[:2] == [STREAM, PACKED]
    assert ids_in(filled.sessions / STREAM) == ["late", "e1"]
    assert are_equal(filled)
    assert packed(filled) == PackResult(1, True)
    assert names_in(filled) == [PACKED, "planner_session_2026_11_01_p1.json"]
    assert ids_in(filled.sessions / PACKED) == ["e0", "e1", "e2", "e3", "e4", "late", "e1"]
    assert are_equal(filled)


def test_an_event_of_a_packed_session_is_deleted(filled: Project) -> None:
    packed(filled)
    assert delete(filled, HookEvent, "e2") == [True]
    assert are_equal(filled)
    packed(filled)
    assert are_equal(filled)


def test_a_session_whose_name_begins_alike_gets_another_file(filled: Project) -> None:
    long = ["12345678-a", "12345678-b"]
    save(filled, event("a", long[0]))
    packed(filled)
    save(filled, event("b", long[1]), event("c", long[0]))
    assert ids_in(filled.sessions / "hook_events_2026_11_01_12345678-b.jsonl") == ["b"]
    assert ids_in(filled.sessions / "hook_events_2026_11_01_12345678.jsonl") == ["c"]
    assert are_equal(filled)


def test_a_torn_or_foreign_stream_is_left_as_it_is(filled: Project) -> None:
    path = filled.sessions / STREAM
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    foreign = filled.sessions / "hook_events_2026_11_01_strange.jsonl"
    foreign.write_bytes(b'{"no":"record"}\n')
    assert packed(filled) == PackResult(0, True)
    path.write_bytes(whole)
    target = filled.root / "target"
    target.write_text("target")
    path.with_name(PACKED).symlink_to(target)
    assert packed(filled) == PackResult(0, True)
    assert path.read_bytes() == whole


def test_what_a_killed_pass_left_in_both_forms_is_not_doubled(filled: Project) -> None:
    plain = (filled.sessions / STREAM).read_bytes()
    packed(filled)
    (filled.sessions / STREAM).write_bytes(plain)
    assert are_equal(filled)
    save(filled, event("late", created_at=LATER))
    packed(filled)
    assert ids_in(filled.sessions / PACKED) == ["e0", "e1", "e2", "e3", "e4", "late"]
    (filled.sessions / STREAM).write_bytes(plain.splitlines(keepends=True)[-1])
    packed(filled)
    assert ids_in(filled.sessions / PACKED) == ["e0", "e1", "e2", "e3", "e4", "late", "e4"]


def test_a_writer_in_between_is_not_lost(filled: Project) -> None:
    grow_old(filled)
    with ThreadPoolExecutor(1) as threads:
        with turn(filled, [CLAUDE]):
            passing = threads.submit(pack, filled, 1.0)
            while not list(filled.sessions.glob(".*.tmp")):
                assert not passing.done()
            # Until we give up the lock, it does no more.
            with pytest.raises(TimeoutError):
                passing.result(timeout=0.3)
            with opened(filled.sessions / STREAM) as stream:
                appending = StreamAppender(filled.sessions, is_together=False)
                appending.add(stream, [StreamLine("x", b'{"id":"x"}\n', None)], may_be_there=False)
        assert passing.result() == PackResult(0, True)
    assert names_in(filled)[0] == STREAM
    assert not list(filled.sessions.glob(".*.tmp"))
    assert ids_in(filled.sessions / STREAM)[-1] == "x"


def test_a_pass_comes_once_an_hour_and_looks_at_the_folder_only_then(filled: Project) -> None:
    grow_old(filled)
    assert pack_if_due(filled, Settings(mirror_pack_after_days=0)) is None
    assert not (filled.sessions / MARKER).exists()
    assert pack_if_due(filled, Settings()) == PackResult(1, True)
    save(filled, event("late"))
    grow_old(filled)
    assert pack_if_due(filled, Settings()) is None
    hour_ago = time.time() - packing.EVERY_SECONDS - 1
    os.utime(filled.sessions / MARKER, (hour_ago, hour_ago))
    assert pack_if_due(filled, Settings()) == PackResult(1, True)


def test_one_pass_runs_at_a_time(filled: Project) -> None:
    grow_old(filled)
    marker = filled.sessions / MARKER
    held = write_lock.try_acquire(marker)
    assert held is not None
    os.utime(marker, (0, 0))
    assert pack_if_due(filled, Settings()) is None
    os.close(held)
    assert pack_if_due(filled, Settings()) == PackResult(1, True)


def test_a_pass_without_time_goes_on_soon(filled: Project) -> None:
    grow_old(filled)
    assert pack_if_due(filled, Settings(), pass_seconds=0) == PackResult(0, False)
    marker = filled.sessions / MARKER
    soon = marker.stat().st_mtime + packing.EVERY_SECONDS - time.time()
    assert 30 < soon <= packing.SOON_SECONDS


def test_where_there_is_no_mirror_nothing_is_made(project: Project) -> None:
    assert pack_if_due(project, Settings()) is None
    assert not project.sessions.exists()


def test_a_link_in_place_of_the_mirror_is_not_followed(filled: Project, tmp_path: Path) -> None:
    grow_old(filled)
    elsewhere = tmp_path / "elsewhere"
    filled.sessions.rename(elsewhere)
    (elsewhere / MARKER).touch()
    os.utime(elsewhere / MARKER, (0, 0))
    filled.sessions.symlink_to(elsewhere)
    assert pack_if_due(filled, Settings()) is None
    assert (elsewhere / STREAM).exists()


def test_a_stream_is_read_from_where_it_was_left(filled: Project) -> None:
    packed(filled)
    save(filled, event("late"))
    path = filled.sessions / STREAM
    first = list(packed_streams.lines(path))
    assert [line.end for line in first] == [0, 0, 0, 0, 0, path.stat().st_size]
    save(filled, event("later"))
    assert [
        json.loads(line.content)["id"] for line in packed_streams.lines(path, first[-1].end)
    ] == ["later"]


@pytest.mark.parametrize("is_merge", [False, True])
def test_killed_at_any_point_nothing_is_lost_or_doubled(is_merge: bool, filled: Project) -> None:
    expected = ["e0", "e1", "e2", "e3", "e4"]
    if is_merge:
        packed(filled)
        save(filled, event("late"))
        expected.append("late")
    kills = 0
    while True:
        grow_old(filled)
        done = warm.run_module("tests.programs.killed_packing", str(filled.root), str(kills))
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        kills += 1
        lines = list(packed_streams.lines(filled.sessions / STREAM))
        assert {json.loads(line.content)["id"] for line in lines} == set(expected)
        if kills % 5 == 0:
            assert are_equal(filled)
    assert kills > 8
    packed(filled)
    assert ids_in(filled.sessions / PACKED) == expected
    assert names_in(filled)[0] == PACKED
    assert are_equal(filled)


ORDER = """
import os, sys
from khive_persist.project import Project
from khive_persist.models.purposes import HOOK_EVENTS

def report(name):
    call = getattr(os, name)
    def run(target, *rest, **options):
        path = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else target
        print(name, os.path.basename(path), *(os.path.basename(one) for one in rest))
        return call(target, *rest, **options)
    setattr(os, name, run)

for name in ("fsync", "replace", "unlink"):
    report(name)
project, purpose = Project(sys.argv[1]), HOOK_EVENTS["claude-code"]
PROGRAM
"""


def calls_in_order(program: str, project: Project) -> list[str]:
    """What a program syncs, renames and unlinks, in order."""
    done = warm.run(ORDER.replace("PROGRAM", program), str(project.root))
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_plain_file_goes_when_the_packed_one_is_on_the_disk(filled: Project) -> None:
    grow_old(filled)
    program = "from khive_persist.mirror.packing import pack; pack(project, 1.0)"
    assert calls_in_order(program, filled)[:5] == [
        f"fsync .{PACKED}.claude_hooks.tmp",
        f"replace .{PACKED}.claude_hooks.tmp {PACKED}",
        "fsync sessions",
        f"unlink {STREAM}",
        "fsync sessions",
    ]


LATE = """
from khive_persist.mirror.stream_file import StreamAppender, StreamLine, opened
appending = StreamAppender(project.sessions, is_together=False)
with opened(project.sessions / "STREAM") as stream:
    appending.add(stream, [StreamLine("x", b'{"id":"x"}\\n', None)], may_be_there=False)
appending.finish()
"""


def test_a_late_event_s_file_is_on_the_disk_with_its_folder(filled: Project) -> None:
    packed(filled)
    assert calls_in_order(LATE.replace("STREAM", STREAM), filled) == [
        f"fsync {STREAM}",
        "fsync sessions",
    ]


REVISION = """
from khive_persist.mirror.rewrite import revise_both
revise_both(project, purpose, lambda row: None if row[0] == "e1" else row, 10.0)
"""


def test_a_revised_stream_is_on_the_disk_before_its_late_lines_go(filled: Project) -> None:
    packed(filled)
    save(filled, event("late"))
    assert calls_in_order(REVISION, filled) == [
        f"fsync .{STREAM}.claude_hooks.tmp",
        f"replace .{STREAM}.claude_hooks.tmp {PACKED}",
        "fsync sessions",
        f"unlink {STREAM}",
        "fsync sessions",
    ]


MENDING = """
from khive_persist.copies import mirrored
from khive_persist.mirror.rebuild import rebuild_mirror
rebuild_mirror(project, mirrored(project))
"""


def test_a_mended_stream_is_on_the_disk_before_its_damaged_file_goes(filled: Project) -> None:
    packed(filled)
    path = filled.sessions / PACKED
    path.write_bytes(path.read_bytes()[:-4])
    calls = [call for call in calls_in_order(MENDING, filled) if STREAM in call or "sess" in call]
    assert calls[:4] == [
        f"fsync .{STREAM}.claude_hooks.tmp",
        f"replace .{STREAM}.claude_hooks.tmp {STREAM}",
        "fsync sessions",
        f"unlink {PACKED}",
    ]


def test_a_drainer_packs_before_it_leaves(filled: Project, hook: Hook) -> None:
    filled.config.write_text("[capture]\nlinger_seconds = 0.1\n")
    grow_old(filled)
    assert hook(b'{"hook_event_name":"Stop","session_id":"other"}').returncode == 0
    until(lambda: (filled.sessions / PACKED).exists() and not (filled.sessions / STREAM).exists())
    drained(filled)
    assert are_equal(filled)
