"""Text that waits or travels compressed."""

import sys
from typing import NamedTuple

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UnpackingError = zstd.ZstdError
"""What `unpacked` raises."""

_COMPRESSOR = zstd.ZstdCompressor(level=1)  # that takes less time than writing what it saves


class Packed(NamedTuple):
    """A text as a frame of zstd; `size` is its length in bytes, unpacked."""

    size: int
    data: bytes


def packed(text: bytes) -> Packed:
    """A text, compressed."""
    return Packed(len(text), _COMPRESSOR.compress(text, zstd.ZstdCompressor.FLUSH_FRAME))


def unpacked(data: bytes) -> bytes:
    """A text as it was.

    Raises:
        UnpackingError: the data is damaged.
    """
    return zstd.decompress(data)
