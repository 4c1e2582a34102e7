"""Removal of records by age, count and size, of whole sessions, and of secrets found late."""
