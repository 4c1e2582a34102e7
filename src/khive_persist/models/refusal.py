"""The one line that tells why a record is refused."""

from pydantic import ValidationError

from khive_persist.errors import InvalidRecordError


def refusal(error: ValidationError) -> InvalidRecordError:
    """Return the first fault of a record as our error: its field and the reason.

    It is one line, and quotes nothing of the record.
    """
    fault = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(map(str, fault["loc"]))
    return InvalidRecordError(f"{path}: {fault['msg']}" if path else fault["msg"])
