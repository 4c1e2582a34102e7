"""The recorded data: pydantic models without any I/O."""
