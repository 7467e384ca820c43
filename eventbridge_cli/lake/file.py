"""A folder as data lake: files that are whole or not there."""

import os
import tempfile
import threading
from pathlib import Path

from eventbridge_cli.errors import ConfigurationError, TargetError
from eventbridge_cli.facts import Batch
from eventbridge_cli.lake.payload import Encoder, LakeObject
from eventbridge_cli.lake.thread import in_thread

_BUFFER = 256 * 1024


class FileTarget:
    """Writes each object aside, under a hidden name, and renames it once it is on the disk.

    What a killed run leaves aside is overwritten by the next try of the same batch, and no reader takes it for data.

    Args:
        folder: an absolute path. It has to be there: a folder that is made where a disk is not mounted is no lake.
        encode: turns batches into objects.
    """

    def __init__(self, folder: Path, encode: Encoder) -> None:
        self._folder = folder
        self._encode = encode
        # A try that nobody waits for any more may still be writing when the next one begins.
        self._writing = threading.Lock()

    @property
    def name(self) -> str:
        """The folder's URL."""
        return self._folder.as_uri()

    async def check(self) -> None:
        """Write a nameless file.

        Raises:
            ConfigurationError: the folder is not there, or nothing can be written to it.
        """
        try:
            await in_thread(self._probe)
        except OSError as error:
            raise ConfigurationError(
                f"{self._folder} can't be written to: {error.strerror or error}.",
                "Make the folder, make room in it, or give this user the right to write there.",
            ) from error

    def _probe(self) -> None:
        with tempfile.TemporaryFile(dir=self._folder) as file:
            file.write(b"ebingest")

    async def put(self, batch: Batch) -> None:
        """Write what is not there yet.

        Raises:
            TargetError: the system refuses. It is permanent where rights are missing.
        """
        try:
            await in_thread(lambda: self._write(batch))
        except OSError as error:
            raise TargetError(
                f"{error.filename or self._folder} can't be written: {error.strerror or error}.",
                "Make room, or mend the folder's rights, then run ebingest sync.",
                permanent=isinstance(error, PermissionError),
            ) from error

    def _write(self, batch: Batch) -> None:
        with self._writing:
            for each in self._encode(batch):
                self._place(each)

    def _place(self, each: LakeObject) -> None:
        path = self._folder / each.path
        if path.exists():
            return
        if not path.parent.exists():
            path.parent.mkdir(exist_ok=True)  # another run may be as far
            _settle(self._folder)
        aside = path.with_name(f".{path.name}.part")
        try:
            with aside.open("wb", buffering=_BUFFER) as file:
                file.writelines(each.pieces)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except OSError:
            aside.unlink(missing_ok=True)  # on a full disk it would take the last of the space
            raise
        _settle(path.parent)

    async def aclose(self) -> None:
        """Nothing is held open."""


def _settle(folder: Path) -> None:
    """Have the names in `folder` outlive a loss of power, where the system can promise that."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
