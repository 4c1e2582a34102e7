"""Lineage: the agents of a session as a tree, and the sessions that came from others."""
