"""Experiments: their variants, and which of them a session has."""
