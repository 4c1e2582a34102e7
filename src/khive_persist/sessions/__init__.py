"""What a session is, and all that is asked of sessions."""
