"""Files that rows are imported from: each gives what it has, one `SourceEntry` after the other."""
