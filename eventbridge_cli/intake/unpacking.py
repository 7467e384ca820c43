"""Undo the compression of a stream: a function for each kind, which gives a function that reads so many bytes."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_DAMAGED = (zlib.error, lzma.LZMAError, zstd.ZstdError)

ReadBlock = Callable[[int], bytes]


def gunzip(stream: BinaryIO) -> ReadBlock:
    """Read what gzip packed."""
    return _careful(gzip.GzipFile(fileobj=stream).read1)


def bunzip2(stream: BinaryIO) -> ReadBlock:
    """Read what bzip2 packed."""
    return _careful(bz2.BZ2File(stream).read1)


def unxz(stream: BinaryIO) -> ReadBlock:
    """Read what xz packed."""
    return _careful(lzma.LZMAFile(stream).read1)


def unzstd(stream: BinaryIO) -> ReadBlock:
    """Read what zstd packed."""
    return _careful(zstd.ZstdFile(stream).read1)


def _careful(read_block: ReadBlock) -> ReadBlock:
    """The same, with damage of every kind told as an `OSError`."""

    def read(size: int) -> bytes:
        try:
            return read_block(size)
        except _DAMAGED as error:
            raise OSError(str(error) or type(error).__name__) from error

    return read
