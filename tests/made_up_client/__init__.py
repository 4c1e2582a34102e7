"""A client that nobody makes, in a folder as those of `tools/`: all that one needs."""
