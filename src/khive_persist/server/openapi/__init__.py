"""`/v1/openapi.json`: the routes of the server, as OpenAPI 3.1.

Made from the routes themselves: what a route asks of its caller, and what `read/operations.py` says
of those that read. `writes.py` says the rest of the others, and `answers.py` makes the shape of an
answer of its type. A test holds that each route is
described, and schemathesis that the answers are as they are described.
"""
