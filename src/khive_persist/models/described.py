"""Make a class for records whose own class is not at hand."""

from functools import cache

from khive_persist.models.node import Node
from khive_persist.models.purposes import Purpose


@cache
def described(purpose: Purpose) -> type[Node]:
    """Return a class of plain records of a purpose: content is any JSON."""

    class Record(Node):
        @classmethod
        def lion_class(cls) -> str:
            return Node.lion_class()

    Record.purpose = purpose
    return Record
