"""Make the JSON document of a record that commands and answers show."""

from typing import Any

from khive_persist import clock
from khive_persist.models.node import Node
from khive_persist.models.stored_form import stored_form


def document(record: Node) -> dict[str, Any]:
    """Return the columns of a record under their names."""
    return {
        "id": record.id,
        "content": stored_form(type(record)).shown(record),
        "node_metadata": record.node_metadata,
        "created_at": clock.to_text(record.created_at),
        "embedding": record.embedding,
    }
