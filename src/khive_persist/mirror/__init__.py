"""The second copy: every record as JSON that an editor shows and that can rebuild the databases."""
