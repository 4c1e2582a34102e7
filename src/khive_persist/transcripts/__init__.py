"""Read the tools' transcripts as messages: each once, whatever repeats it.

Besides what a docstring names, whatever opens a transcript raises `OSError` where it cannot be
read; what reads or writes a database, `StoreError` as its subclasses say; and what writes one,
`MirrorError` where the second copy cannot be written.
"""
