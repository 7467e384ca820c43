"""Each way in which a file may be compressed."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Pack = Callable[[bytes], bytes]
PACKERS: dict[str, Pack] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd.compress}
EVERY_PACKER = pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
