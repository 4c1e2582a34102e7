"""The clients of the matrix, in its order."""

from typing import Final

from clients.client import Client
from clients.known.claude_code import ClaudeCode
from clients.known.codex import Codex
from clients.known.gemini_cli import GeminiCli

CLIENTS: Final[tuple[Client, ...]] = (ClaudeCode(), Codex(), GeminiCli())
# Those that are not run, and why.
NOT_RUN: Final = {"Cursor": "no program of it runs without an account"}
