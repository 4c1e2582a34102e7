"""The fault of a record that its class does not take."""

from pydantic import ValidationError

from khive_persist.errors import InvalidRecordError


def invalid(error: ValidationError, subject: str = "") -> InvalidRecordError:
    """Return what is wrong with a record, on one line that quotes nothing of it."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(map(str, first["loc"]))
    return InvalidRecordError(": ".join(filter(None, (subject, path, first["msg"]))))
