"""Sessions: `definitions.py` says once what each word means, the other modules query by it."""
