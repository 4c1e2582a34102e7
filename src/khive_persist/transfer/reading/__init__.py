"""Files that rows are imported from: each gives what it has, one `Found` after the other."""
