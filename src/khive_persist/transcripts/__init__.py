"""Read the tools' transcripts as messages: each once, whatever repeats it."""
