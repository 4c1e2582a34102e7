"""What is recorded. Pydantic models without any I/O."""
