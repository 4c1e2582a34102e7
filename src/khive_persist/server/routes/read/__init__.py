"""The routes that read: the same as the commands, page by page.

`operations.py` says what a route is: its parameters, which `parameters.py` checks, and the type of
its answer. An endpoint gives a value, which `responses.py` sends with its ETag, or a list, which
`listing.py` sends as a page of JSON or, streamed, as CSV or JSON Lines.
`reader_pool.py` has what they ask: readers of the files, and the sums over all events and messages.
"""
