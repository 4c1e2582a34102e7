"""The version of a session, as HTTP says it: an entity tag."""

import re
from collections.abc import Sequence
from typing import Any, Final

from khive_persist.server.http.errors import HTTPError

_TAG: Final = re.compile(r'"(\d{1,15})"\Z', re.ASCII)


def expected(headers: Sequence[str], fields: dict[str, Any]) -> int | None:
    """Return the version that a change is made for, by If-Match or its body; None for none.

    It is taken out of the body.

    Raises:
        HTTPError: 400; it is no version, or the header and the body say two.
    """
    version = fields.pop("version", None)
    if version is not None and (isinstance(version, bool) or not isinstance(version, int)):
        raise HTTPError(400, "bad_version", "version is a whole number")
    if not headers:
        return version
    match = _TAG.match(headers[0].strip())
    if match is None or len(headers) > 1:
        raise HTTPError(400, "bad_version", "If-Match is one version", hint='as in If-Match: "3"')
    if version not in (None, int(match[1])):
        raise HTTPError(400, "bad_version", "If-Match and the body say two versions")
    return int(match[1])
