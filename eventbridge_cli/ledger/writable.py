"""Can a file of the ledger be written where it is to be? Found out without leaving anything behind."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

from eventbridge_cli.errors import StorageError, bad_path, is_lack_of_space

_PROBE_BYTES = 4096  # a disk that is full takes a file, but nothing in it


def check_file(path: Path) -> None:
    """Whether `path` can be appended to or made; its folder must be there.

    Raises:
        ConfigurationError: it can't, and why.
        StorageError: there is no space.
    """
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        pass
    except OSError as error:
        raise bad_path(path, error.strerror or "") from error
    else:
        if not stat.S_ISREG(kind):
            raise bad_path(path, "it is a folder" if stat.S_ISDIR(kind) else "it is no ordinary file")
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_APPEND))
        except OSError as error:
            raise bad_path(path, error.strerror or "") from error
    _check_folder(path.parent, path)


def check_folder(path: Path) -> None:
    """Whether files can be made in a folder, which is made with all above it if it is not there yet.

    Raises:
        ConfigurationError: they can't, and why.
        StorageError: there is no space.
    """
    there = path.absolute()
    while not os.access(there, os.F_OK) and there != there.parent:
        there = there.parent
    _check_folder(there, path)


def free_bytes(path: Path) -> int:
    """The space left on the disk that a file or folder is, or will be, on."""
    there = path.absolute()
    while not there.is_dir() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free


def _check_folder(folder: Path, for_path: Path) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".ebingest-probe-") as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
    except FileNotFoundError as error:
        raise bad_path(for_path, f"there is no folder {folder}") from error
    except OSError as error:
        if is_lack_of_space(error):
            raise StorageError(f"{for_path} can't be written: {error.strerror}.", "Free some space.") from error
        raise bad_path(for_path, f"{folder}: {error.strerror}") from error
