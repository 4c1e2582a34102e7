"""A session as one timeline: messages, tool calls and other events, in order of time."""
