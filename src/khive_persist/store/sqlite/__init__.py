"""All that is particular to SQLite: its connections, its locks, its SQL."""
