"""A recorded session once more: in the terminal, as a page, or sent to another recorder."""
