"""`Immutable`: a record that never changes."""

from khive_persist.models.node import Node


class Immutable(Node):
    """A record that never changes: of all that are saved under one id, the first stays.

    Its store ensures that: see `FixedStore`.
    """
