"""The sessions of applications: what is in them, and who may change them when."""
