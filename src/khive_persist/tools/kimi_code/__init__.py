"""Kimi Code: its hooks and transcripts."""
