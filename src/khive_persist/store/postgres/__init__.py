"""PostgreSQL as the store of a team: the same records, in tables of one database.

    Store ─▶ PostgresWriter ─▶ pool ─▶ PostgreSQL ◀─ pool ◀─ PostgresReader ◀─ Store

A record is a row with the five columns, and `session`, by which the rows of a session lie together.
"""
