"""What the tools' transcripts say, as messages: each once, whatever repeats it."""
