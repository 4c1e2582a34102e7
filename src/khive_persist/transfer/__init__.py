"""Records out of a place and into it, in files that other programs read and write."""
