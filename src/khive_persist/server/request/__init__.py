"""Who sends a request, and its body."""
