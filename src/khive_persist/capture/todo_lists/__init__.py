"""Read the to-do lists of agents from the tool calls that write them."""
