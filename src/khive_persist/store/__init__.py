"""Storage of records: the only code that knows a database driver, or orjson."""
