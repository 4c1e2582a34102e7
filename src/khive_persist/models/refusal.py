"""The one line that tells why a record is refused."""

from pydantic import ValidationError

from khive_persist.errors import InvalidRecordError


def refusal(error: ValidationError, subject: str = "") -> InvalidRecordError:
    """Return the first fault of a record as our error: its subject, its field and the reason.

    It is one line, and quotes nothing of the record.
    """
    fault = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(map(str, fault["loc"]))
    return InvalidRecordError(": ".join(filter(None, (subject, path, fault["msg"]))))
