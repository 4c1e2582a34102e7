"""Records out of a project and into it, in files that other programs read and write."""
