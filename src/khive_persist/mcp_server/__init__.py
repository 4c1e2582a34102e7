"""The records of a project for agents, as tools of the Model Context Protocol, for reading only.

    client ─ stdin ─▶ server (the SDK) ─▶ tools ─▶ sessions, analytics, search
           ◀ stdout ─ answers: bounded, each text fenced, each with its source

The SDK is imported by `server.py` alone.
"""
