"""A session as one story: what was said and done, in order of time."""
