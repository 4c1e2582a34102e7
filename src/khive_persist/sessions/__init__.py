"""What is said of sessions: `definitions.py` says once what each word means."""
