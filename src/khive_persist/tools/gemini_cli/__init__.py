"""Gemini CLI: its hooks and transcripts."""
