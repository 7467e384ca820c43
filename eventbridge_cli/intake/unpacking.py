"""Undo the compression of a stream: a function for each kind, which gives a function that reads so many bytes."""

import bz2
import gzip
import lzma
import sys
import zlib
from collections.abc import Callable
from io import BufferedReader
from typing import Protocol

from eventbridge_cli.intake.sources import BLOCK

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_DAMAGED = (zlib.error, lzma.LZMAError, zstd.ZstdError)

ReadBlock = Callable[[int], bytes]


def gunzip(stream: BufferedReader) -> ReadBlock:
    """Read what gzip packed."""
    return _careful(gzip.GzipFile(fileobj=stream).read1)


def bunzip2(stream: BufferedReader) -> ReadBlock:
    """Read what bzip2 packed."""
    return _careful(_joined(stream, bz2.BZ2Decompressor))


def unxz(stream: BufferedReader) -> ReadBlock:
    """Read what xz packed."""
    return _careful(_joined(stream, lzma.LZMADecompressor))


def unzstd(stream: BufferedReader) -> ReadBlock:
    """Read what zstd packed."""
    return _careful(zstd.ZstdFile(stream).read1)


class _Decompressor(Protocol):
    """What undoes the compression of one of several streams in a row, as `bz2` and `lzma` have it."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _joined(stream: BufferedReader, new: Callable[[], _Decompressor]) -> ReadBlock:
    """Read streams in a row, with zero bytes between them at most.

    `BZ2File` and `LZMAFile` take what is no stream for the end: behind a damaged byte, or the padding that xz allows,
    all further streams would be missing without a word.
    """
    current = new()

    def read(size: int) -> bytes:
        nonlocal current
        data = b""
        while not data:
            more = b""
            if current.eof:
                more = _behind_zeros(current.unused_data, stream)
                if not more:
                    break
                current = new()
            elif current.needs_input and not (more := stream.read1(BLOCK)):
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            data = current.decompress(more, size)
        return data

    return read


def _behind_zeros(data: bytes, stream: BufferedReader) -> bytes:
    """What is ahead, in `data` and then in `stream`, from its first byte on that is not zero."""
    while not (data := data.lstrip(b"\0")) and (block := stream.read1(BLOCK)):
        data = block
    return data


def _careful(read_block: ReadBlock) -> ReadBlock:
    """The same, with damage of every kind told as an `OSError`."""

    def read(size: int) -> bytes:
        try:
            return read_block(size)
        except _DAMAGED as error:
            raise OSError(str(error) or type(error).__name__) from error

    return read
