"""The layer between the socket and the app: limits, heads, hosts, tokens, errors."""
