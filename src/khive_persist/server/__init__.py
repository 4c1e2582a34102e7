"""`khive-persist serve`: a project over HTTP.

How a request goes through, from outside to inside:

1. `protocol.py`: the bytes of a connection, with deadlines and limits of its own; then uvicorn.
2. `metrics.py` counts it, `headers.py` puts the security headers on whatever is answered,
   `hosts.py` refuses what names another host or comes from another origin, `errors.py` makes JSON
   of whatever is raised, `limits.py` looks at the head.
3. The router finds the route. `access.py` asks for the token's right and the content type before
   one byte of the body is read; `bodies.py` reads it, unpacked and within its limits.
4. The route group answers: `hooks.py`, `events.py`, `records.py`, `login.py`, `health.py`;
   `sessions/`, where an application keeps its own; `reading/`. Each has one function
   `routes(serving)`, and `app.py` has a line for it: another group is one line more.

What a group may use is `serving.py`: the project, the settings in force (`live.py`), the tokens, the
recorder, the open stores, the metrics. Nothing is global. What is sent is stored by another process
(`recorder.py` here, `recording.py` there): it normalises, takes secrets out and commits
(`commits.py`). `running.py` is the process around it: the socket, one server a project, signals; and
`upkeep.py` what it does beside: the spool, syncs, backups, the reload of config.toml.
"""
