"""The clients of the matrix, in its order."""

from typing import Final

from clients.client import Client
from clients.known.claude_code import ClaudeCode
from clients.known.cline import Cline
from clients.known.codex import Codex
from clients.known.copilot_cli import CopilotCli
from clients.known.droid import Droid
from clients.known.gemini_cli import GeminiCli
from clients.known.kimi_code import KimiCode
from clients.known.opencode import Kilo, OpenCode
from clients.known.pi import Pi
from clients.known.qwen_code import QwenCode

CLIENTS: Final[tuple[Client, ...]] = (
    ClaudeCode(), Codex(), GeminiCli(), CopilotCli(), OpenCode(), Kilo(), Pi(), Cline(),
    QwenCode(), Droid(), KimiCode(),
)  # fmt: skip
# Those that are not run, and why.
NOT_RUN: Final = {"Cursor": "it has no program that runs without an account; from its documents"}
