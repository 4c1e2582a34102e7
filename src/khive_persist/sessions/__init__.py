"""Sessions: `definitions.py` says once what each word means, the other modules query by it.

Whatever reads here raises `StoreError`, as its subclasses say, besides what its docstring names.
"""
