"""Claude Code: its hooks and transcripts."""
