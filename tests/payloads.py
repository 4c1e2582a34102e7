"""What the real tools sent, and how the hook is run with it."""

import subprocess
from collections.abc import Callable
from importlib.resources import files

Hook = Callable[..., "subprocess.CompletedProcess[bytes]"]


def sample_payloads(tool: str) -> list[bytes]:
    """What the real tool sent, a payload an item."""
    return (files("khive_persist") / "samples" / f"{tool}.jsonl").read_bytes().splitlines()
