"""The settings files of a project: what is wrong in them, and a value changed in place."""
