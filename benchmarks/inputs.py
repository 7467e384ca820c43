"""The files that the benchmarks read, made when they are first asked for."""

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

GENERATOR = Path(__file__).with_name("generate.py")
BLOCK = 1 << 20
ID = b'"interactionId":"'


class Inputs:
    """Files of made-up events, in one folder, the same for the same arguments.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ndjson(self, events: int, *, copies: float = 0) -> Path:
        """Events as lines; `copies` in a hundred of them repeat an earlier one."""
        arguments = ["--copies", str(copies)]
        return self._made(f"{events}-{copies}.ndjson", lambda out: generate(out, events, *arguments))

    def array(self, events: int) -> Path:
        """The same events as one JSON array."""
        return self._made(f"{events}.json", lambda out: generate(out, events, "--format", "array"))

    def larger(self, events: int, times: int) -> Path:
        """So many times the events, all distinct, made quickly: the same ones with other ids."""
        path = self.ndjson(events)

        def write(out: BinaryIO) -> None:
            for number in range(times):
                with path.open("rb") as lines:
                    out.writelines(line.replace(ID, ID + b"%d-" % number, 1) for line in lines)

        return self._made(f"{events}x{times}.ndjson", write)

    def gzip(self, events: int) -> Path:
        """The lines, compressed by gzip."""
        path = self.ndjson(events)

        def write(out: BinaryIO) -> None:
            with path.open("rb") as lines, gzip.open(out, "wb", compresslevel=1) as packed:
                shutil.copyfileobj(lines, packed, BLOCK)

        return self._made(f"{events}.ndjson.gz", write)

    def zstd(self, events: int) -> Path:
        """The lines, compressed by zstd."""
        from backports import zstd  # noqa: PLC0415 - not for those who measure other sections

        path = self.ndjson(events)

        def write(out: BinaryIO) -> None:
            with path.open("rb") as lines, zstd.open(out, "wb") as packed:
                shutil.copyfileobj(lines, packed, BLOCK)

        return self._made(f"{events}.ndjson.zst", write)

    def _made(self, name: str, write: Callable[[BinaryIO], None]) -> Path:
        path = self._folder / name
        if not path.exists():
            with path.open("wb") as out:
                write(out)
        return path


def generate(out: BinaryIO, events: int, *arguments: str) -> None:
    """Let the generator write, in a process of its own, so that ours stays small."""
    subprocess.run([sys.executable, str(GENERATOR), str(events), *arguments], stdout=out, check=True)
