"""Two set-ups, or more, of an agent, compared by what was recorded of their sessions."""
