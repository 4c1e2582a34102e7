"""Mirrors in archives: they come in; and one that is hostile writes nothing and is refused."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import pytest

from khive_persist import open_store
from khive_persist.cli.root import run
from khive_persist.errors import InvalidFileError
from khive_persist.mirror.document import to_document
from khive_persist.models.purposes import PLANNER_SESSIONS
from khive_persist.project import Project
from khive_persist.transfer.reading import archive
from tests.exchange.documents import write_document
from tests.exchange.rows import PLANS, made, put, read, row, stored
from tests.mirror.own import TrainingSession
from tests.store.old_files import digest

NAME = "planner_session_2026_11_01_aaaaaaaa.json"
Pack = Callable[[Iterable[tarfile.TarInfo]], Path]


def mirror(folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_document(folder / NAME, to_document(PLANNER_SESSIONS, row("a")))
    return folder


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("name", ["sessions", ".", "deep/.khive/sessions"])
def test_a_mirror_comes_in_from_an_archive(
    project: Project, tmp_path: Path, mode: str, name: str
) -> None:
    folder = mirror(tmp_path / "sessions")
    (folder / ".epochs").write_text("{}")
    path = tmp_path / "x.tgz"
    with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]
        packed.add(folder, name)
    done = read(project, path)
    assert (done.purposes, done.listed) == ({"planner_sessions": (1, 0, 0)}, [])
    assert read(project, path).purposes == {"planner_sessions": (0, 1, 0)}
    assert os.listdir(project.khive / "staging") == []


def test_a_kind_of_ones_own_comes_with_its_description(project: Project, tmp_path: Path) -> None:
    other = made(tmp_path / "other")

    async def save() -> None:
        async with open_store(TrainingSession, dir=other.root) as records:
            await records.save(TrainingSession(id="t", content={"athlete": "ann"}))

    anyio.run(save)
    with tarfile.open(tmp_path / "x.tgz", "w:gz") as packed:
        packed.add(other.sessions, "sessions")
        packed.add(other.khive / ".gitignore", "ignored")
        packed.add(other.khive / ".gitignore", ".gitignore")
    done = read(project, tmp_path / "x.tgz")
    assert done.purposes == {"training": (1, 0, 0)}
    assert done.listed == [("ignored", "not of the mirror, left alone")]


def member(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for field, value in fields.items():
        setattr(info, field, value)
    return info


@pytest.fixture
def packed(tmp_path: Path) -> Pack:
    """An archive of a sound mirror, and of what else is given."""

    def pack(members: Iterable[tarfile.TarInfo]) -> Path:
        folder = mirror(tmp_path / "sessions")
        path = tmp_path / "x.tgz"
        with tarfile.open(path, "w:gz") as file:
            file.add(folder, "sessions")
            for info in members:
                file.addfile(info, io.BytesIO(b"x" * min(info.size, 1 << 20)))
        return path

    return pack


HOSTILE = {
    "symbolic link": ([member("sessions/l", tarfile.SYMTYPE, linkname="/etc")], "is a link"),
    "hard link": ([member("sessions/l", tarfile.LNKTYPE, linkname="/etc/passwd")], "is a link"),
    "absolute": ([member("/tmp/khive-evil", size=1)], "leads out of it"),
    "parents": ([member("sessions/../../../evil", size=1)], "leads out of it"),
    "folder above": ([member("..", tarfile.DIRTYPE)], "leads out of it"),
    "device": ([member("sessions/d", tarfile.CHRTYPE)], "neither a file nor a folder"),
    "block device": ([member("sessions/d", tarfile.BLKTYPE)], "neither a file nor a folder"),
    "pipe": ([member("sessions/p", tarfile.FIFOTYPE)], "neither a file nor a folder"),
    "sparse": ([member("sessions/s", tarfile.GNUTYPE_SPARSE)], "neither a file nor a folder"),
    "unknown type": ([member("sessions/p", b"V")], ""),
    "twice": ([member(f"sessions/{NAME}", size=1)], "twice"),
    "under another spelling": ([member(f"./sessions//{NAME}", size=1)], "twice"),
    "two mirrors": ([member(f"other/{NAME}", size=1)], "several mirrors"),
    "no name": ([member("", size=1)], ""),
    "control characters": ([member("sessions/\x1b[2J\nx", tarfile.SYMTYPE, linkname="y")],
                           "sessions/\\x1b[2J\\nx is a link"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_writes_nothing_and_is_refused_in_one_line(
    project: Project, tmp_path: Path, packed: Pack, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    members, said = HOSTILE[name]
    path = packed(members)
    before = digest(tmp_path)
    if not said:
        # As tarfile reads it, a file; it is none of a mirror, and named.
        assert run(["--dir", str(project.root), "import", str(path)]) == 1
        assert "left alone" in capfd.readouterr().err or not said
        return
    with pytest.raises(InvalidFileError):
        read(project, path)
    assert run(["--dir", str(project.root), "import", str(path)]) == 1
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    assert said in line
    assert "tar czf mirror.tgz -C .khive sessions" in line
    assert not project.database(PLANS).exists()
    assert os.listdir(project.khive / "staging") == []
    after = {path: raw for path, raw in digest(tmp_path).items() if "staging" not in str(path)}
    assert {path for path in after if path not in before} == set()
    assert not Path("/tmp/khive-evil").exists()


def test_a_member_that_claims_too_much_is_not_read(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: Pack
) -> None:
    monkeypatch.setattr(archive, "MIN_LIMIT_BYTES", 1 << 20)
    monkeypatch.setattr(archive, "MAX_RATIO", 2)
    path = packed([])
    raw = gzip.decompress(path.read_bytes())[:-10_240]
    huge = member("sessions/huge", size=1 << 40).tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(gzip.compress(raw.rstrip(b"\0") + b"\0" * (-len(raw.rstrip(b"\0")) % 512)
                                   + huge + b"\0" * 4096))  # fmt: skip
    with pytest.raises(InvalidFileError, match="unpacks to more than it may"):
        read(project, path)
    assert not project.database(PLANS).exists()


def test_a_bomb_of_headers_or_of_zeros_is_bounded(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MIN_LIMIT_BYTES", 1 << 20)
    monkeypatch.setattr(archive, "MAX_RATIO", 2)
    long = member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=1 << 30)
    for raw, said in (
        (long.tobuf(tarfile.GNU_FORMAT) + b"a" * (4 << 20), "a header of more than a megabyte"),
        (member("x", size=0).tobuf() + b"\0" * (8 << 20), "unpacks to more than it may"),
    ):
        (tmp_path / "x.tgz").write_bytes(gzip.compress(raw))
        with pytest.raises(InvalidFileError, match=said):
            read(project, tmp_path / "x.tgz")


def test_an_archive_that_was_cut_is_damaged(project: Project, packed: Pack) -> None:
    path = packed([member("sessions/planner_session_2026_11_02_bbbbbbbb.json", size=3000)])
    whole = path.read_bytes()
    plain = gzip.decompress(whole)
    for raw in (whole[:-20], plain[: 512 * 4], plain[: 512 * 5 + 100], plain[: 512 * 3]):
        path.write_bytes(raw)
        with pytest.raises(InvalidFileError, match=r"is damaged|no mirror"):
            read(project, path)
        assert not project.database(PLANS).exists()


def test_an_archive_from_a_pipe_is_named(project: Project, packed: Pack) -> None:
    with packed([]).open("rb") as file, pytest.raises(InvalidFileError, match="name its file"):
        read(project, file)  # type: ignore[arg-type]


def test_rows_of_a_refused_archive_are_not_there(project: Project, packed: Pack) -> None:
    put(project, [row("b")])
    before = stored(project.database(PLANS))
    with pytest.raises(InvalidFileError):
        read(project, packed([member("sessions/l", tarfile.SYMTYPE, linkname="x")]))
    assert stored(project.database(PLANS)) == before
