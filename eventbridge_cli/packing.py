"""Text that waits or travels compressed."""

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

UnpackingError = zstd.ZstdError
"""What `unpacked` raises."""

_COMPRESSOR = zstd.ZstdCompressor(
    options={
        zstd.CompressionParameter.compression_level: 1,  # that takes less time than writing what it saves
        zstd.CompressionParameter.checksum_flag: 1,  # or much of what is damaged would unpack to another text
    }
)


def packed(text: bytes) -> bytes:
    """A text, compressed."""
    return _COMPRESSOR.compress(text, zstd.ZstdCompressor.FLUSH_FRAME)


def unpacked_size(data: bytes) -> int:
    """The length in bytes of what was `packed`, without unpacking it."""
    size = zstd.get_frame_info(data).decompressed_size
    assert size is not None  # noqa: S101 - a frame that is made in one piece names it
    return size


def unpacked(data: bytes) -> bytes:
    """A text as it was.

    Raises:
        UnpackingError: the data is damaged.
    """
    return zstd.decompress(data)
