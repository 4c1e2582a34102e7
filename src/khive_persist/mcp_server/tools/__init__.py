"""The tools: each a function of a project and its arguments, whose answer is an envelope."""
