"""The sender of a request, and its body."""
