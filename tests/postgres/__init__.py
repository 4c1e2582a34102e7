"""PostgreSQL as a place of records, beside SQLite: the same tests over both."""
