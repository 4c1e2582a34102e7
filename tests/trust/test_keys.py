"""The redaction key: one for all who use a project at once, whatever lay there before."""

import os
import threading

import pytest

from khive_persist.project import Project
from khive_persist.redaction import Redactor
from khive_persist.settings import Settings
from khive_persist.store.redacting import KEY_FILE, load_redactor

SECRET = "ghp_" + "A1b2" * 9
LONG_SECONDS = 10.0


@pytest.mark.parametrize("before", [None, b"k" * 32 + b"0" * 64], ids=["none", "another's"])
def test_two_that_make_a_key_at_once_have_the_same(
    project: Project, before: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the tags of what one of them stores are of a key that nobody has."""
    # The key that signs it is there.
    load_redactor(project, Settings())
    (project.khive / KEY_FILE).unlink()
    if before is not None:
        (project.khive / KEY_FILE).write_bytes(before)
    reached, goes_on = threading.Event(), threading.Event()
    sync = os.fsync
    redactors: list[Redactor | None] = []

    def load() -> None:
        redactors.append(load_redactor(project, Settings()))

    first = threading.Thread(target=load)
    second = threading.Thread(target=load)

    def fsync(descriptor: int) -> None:
        if threading.current_thread() is first and not reached.is_set():
            reached.set()
            assert goes_on.wait(LONG_SECONDS)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    first.start()
    assert reached.wait(LONG_SECONDS)
    second.start()
    # Without the lock it ends before the first goes on.
    second.join(0.2)
    goes_on.set()
    first.join(LONG_SECONDS)
    second.join(LONG_SECONDS)
    redactors.append(load_redactor(project, Settings()))
    texts = {redactor.redact_text(SECRET)[0] for redactor in redactors if redactor}
    assert len(redactors) == 3
    assert len(texts) == 1
