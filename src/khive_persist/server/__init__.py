"""`khive-persist serve`: a project over HTTP.

How a request goes through, from outside to inside:

1. `http/protocol.py`: the bytes of a connection, with deadlines and limits; then uvicorn.
2. `routes/metrics.py` counts it, and of `http/`, `headers.py` puts the security headers on whatever
   is answered, `hosts.py` refuses what names another host or comes from another origin, `errors.py`
   makes JSON of whatever is raised, `limits.py` looks at the head.
3. The router finds the route. `request/auth.py` asks for the token's right and the content type
   before one byte of the body is read; `request/body.py` reads it, unpacked and within its limits.
4. The route group answers: a file of `routes/`; `application_sessions/`, where an application keeps
   its own; `read/`. Each has one function `routes(…)` that takes the parts that it uses, and
   `app.py` hands them to it: another group is one line more.

The parts stand in `context.py`, and none holds it: the project, the settings in force, the tokens
and logins (`request/access.py`), the reader of bodies, the intake (`intake.py`), the readers
(`reader_pool.py`), the open stores (`store_pool.py`), the metrics. Nothing is global. What is sent
is stored by another process (`recorder/`: `client.py` here, `process.py` there): it normalises,
takes secrets out and commits (`group_commit.py`). Large bodies are read by one more (`preparer.py`
here, `preparing.py` there), and what is in them is stored in pieces by a second recorder, so that
nobody else waits for it. Here they pass as they came (`recorder/framing.py`).
`run.py` is the process around it: the socket, one server a project, signals; and
`background_tasks.py` what it does beside: the spool, syncs, backups, the reload of config.toml.
"""
