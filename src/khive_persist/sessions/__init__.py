"""Sessions: `definitions.py` says once what each word means, the other modules query by it.

Besides what a docstring names, whatever reads here raises `StoreError`, as its subclasses say; and
what goes by settings, `InvalidSettingsError` where config.toml is wrong.
"""
