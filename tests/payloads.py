"""What the real tools sent, and how the hook is run with it."""

import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

_CLIENTS = Path(__file__).parent / "clients"
Hook = Callable[..., "subprocess.CompletedProcess[bytes]"]


def sample_payloads(tool: str) -> list[bytes]:
    """What the real tool sent, a payload an item."""
    sample = files("khive_persist") / "samples" / f"{tool}.jsonl"
    if not sample.is_file():
        sample = _CLIENTS / tool.replace("-", "_") / "payloads.jsonl"
    return sample.read_bytes().splitlines()
