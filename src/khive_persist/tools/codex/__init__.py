"""Codex: its hooks and transcripts."""
