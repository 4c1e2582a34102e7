"""Decide whether a `.khive` is this user's own, and which of its files are believed."""
