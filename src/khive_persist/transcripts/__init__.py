"""Read the tools' transcripts as messages: each once, whatever repeats it.

Whatever reads or writes a database here raises `StoreError`, as its subclasses say, besides what
its docstring names.
"""
