"""How much of a request is taken, and for how long."""

from typing import NamedTuple


class Limits(NamedTuple):
    """What one connection may cost. Sizes are in bytes.

    Attributes:
        head_bytes: Of the request line and the headers.
        head_fields: How many headers.
        target_bytes: Of the path and the query.
        head_seconds: From the first moment of a connection, or of another request on it, to the
            end of its head.
        body_seconds: From there to the end of the body.
        write_seconds: How long a client may leave an answer unread.
        idle_seconds: How long a connection is kept between two requests.
        connections: At once; one more closes the one that has waited longest for its head, or for
            what somebody without a token sends after it.
        buffered_bytes: Of all bodies together that are being read, but for the small ones.
        small_bytes: A body of up to so many is always read, however full the buffer is.
        stranger_body_bytes: Of a body that is read before it is known who sends it.
        stranger_body_seconds: For how long it is.
        linger_bytes: Read and thrown away of a refused body, so that its sender sees why.
        linger_seconds: For how long.
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
