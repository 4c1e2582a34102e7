"""Read lines of zstd streams, as long as they and their window are bounded."""

import sys
from collections.abc import Generator
from io import BufferedReader
from typing import IO, Final

# 128 MB, the most that the library takes by itself, too.
_WINDOW_LOG: Final = 27
# What a small file can hold packed is not bounded by its size.
MAX_LINE_BYTES: Final = 256 << 20
_BUFFER_BYTES: Final = 1 << 20


def lines(file: IO[bytes], part_bytes: int = 0) -> Generator[bytes, None, None]:
    """Yield the lines of a stream.

    The last one has no newline and is no JSON where the stream is cut or damaged, or a line is
    longer than 256 MB: it says which.

    Args:
        file: The stream; the caller closes it.
        part_bytes: The size of the parts that longer lines are given in; 0 for whole lines.
    """
    # It takes some milliseconds, and few transcripts are compressed.
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd

    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    with (
        zstd.ZstdFile(file, options=options) as stream,
        BufferedReader(stream, _BUFFER_BYTES) as buffer,
    ):
        while True:
            try:
                line = buffer.readline(part_bytes or MAX_LINE_BYTES)
            except (zstd.ZstdError, EOFError) as error:
                yield f"the rest cannot be unpacked: {error}".encode()
                return
            if not line:
                return
            if not part_bytes and len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                yield f"a line is longer than {MAX_LINE_BYTES} bytes".encode()
                return
            yield line
