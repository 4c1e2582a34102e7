"""What a session is: `definitions.py` says once what each word means, the others ask by it."""
