"""Find the problems of a project: the examination behind `khive-persist doctor`.

`report.py` looks at the project itself, `hooks.py` at the tools' settings, and the others each at
one kind of thing around it.
"""
