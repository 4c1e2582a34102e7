"""The limits of a request in size and time."""

from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of one connection. Sizes are in bytes.

    Attributes:
        head_bytes: The size of the request line and the headers.
        head_fields: The number of headers.
        target_bytes: The size of the path and the query.
        head_seconds: The time from the first moment of a connection, or of another request on it,
            to the end of its head.
        body_seconds: The time from there to the end of the body.
        write_seconds: The time for which a client may leave an answer unread.
        idle_seconds: The time for which a connection is kept between two requests.
        connections: The number of connections; one more closes the one that has waited longest for
            its head, or for the body of a sender without a token.
        buffered_bytes: The size of all bodies together that are being read, but for the small ones.
        small_bytes: The size up to which a body is always read, however full the buffer is.
        stranger_body_bytes: The size of a body that is read before its sender is known.
        stranger_body_seconds: The time for which that is read.
        linger_bytes: The size that is discarded of a refused body, so that its sender sees why.
        linger_seconds: The time for which that goes on.
    """

    head_bytes: int = 32_768
    head_fields: int = 100
    target_bytes: int = 8_192
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    idle_seconds: float = 60.0
    connections: int = 512
    buffered_bytes: int = 64 << 20
    small_bytes: int = 65_536
    stranger_body_bytes: int = 512
    stranger_body_seconds: float = 2.0
    linger_bytes: int = 256 << 20
    linger_seconds: float = 10.0
