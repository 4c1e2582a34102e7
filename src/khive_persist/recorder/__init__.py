"""The process that groups commits for the server. It knows no HTTP."""
