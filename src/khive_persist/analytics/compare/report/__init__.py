"""A comparison on paper: plots, a page that stands by itself, a text for an appendix."""
