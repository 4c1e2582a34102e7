"""Cursor: its hooks, by its documents alone."""
