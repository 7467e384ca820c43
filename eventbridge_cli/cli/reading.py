"""From the command line to an intake: what validate, dedupe and ingest have in common."""

import errno
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from eventbridge_cli.cores import usable_cores
from eventbridge_cli.errors import ClashError, StorageError, UsageError, unwritable

if TYPE_CHECKING:
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.settings import Settings


INTERRUPTED = (
    "The counts are of what was read by then; files are as they were. Run the same command again for all of it."
)
_USUAL = (Path("ingestion_audit.jsonl"), Path("dead_letters.ndjson"))
"""What runs write where nothing else is set. Who names a folder does not mean those."""

_SETTINGS = ("window", "window_size", "max_record_bytes", "chunk_events", "chunk_bytes", "jobs")


def intake_of(
    inputs: Sequence[str] | None,
    settings: "Settings | None" = None,
    *,
    strict: bool,
    own_files: Mapping[str, Path | None] | None = None,
    **flags: Any,
) -> "Intake":
    """What to read, and how: by `settings`, or by the flags of a command that has no use for the other settings.

    A flag that is None was not given. `own_files` are what the command writes, by what each is for.

    Raises:
        UsageError: an input is not there; or none is named and standard input is a terminal; or a flag is wrong.
        ClashError: a file is to be written for two purposes, or is an input as well.
        ConfigurationError: names every setting that is wrong, all at once.
    """
    from eventbridge_cli.intake.key import Key
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.intake.sources import Meter, resolve, size_of

    if not inputs and sys.stdin.isatty():
        raise UsageError(
            "There is nothing to read.",
            "Name a file, a folder or a quoted glob, or pipe events in; see --help.",
        )
    if settings is None and _environment_speaks():
        from eventbridge_cli.settings import load

        settings = load(**flags)
    if settings is not None:
        flags = {name: getattr(settings, name) for name in _SETTINGS} | {
            "key": ",".join(settings.key),
            "listed": bool(settings.sync),
        }
    chosen = {"jobs": usable_cores()} | {name: value for name, value in flags.items() if value is not None}
    if "key" in chosen:
        chosen["key"] = Key([path.strip() for path in chosen["key"].split(",")])
    own = {name: path for name, path in (own_files or {}).items() if path is not None}
    _check_apart(own)
    files = [path for path in own.values() if not is_stdout(path)]
    sources = resolve(inputs or [], written=files, pass_over=_USUAL)
    return Intake(sources=tuple(sources), strict=strict, meter=Meter(size_of(sources)), **chosen)


def _check_apart(own_files: Mapping[str, Path]) -> None:
    purposes: dict[str, str] = {}
    for purpose, path in own_files.items():
        other = purpose if is_device(path) else purposes.setdefault(os.path.realpath(path), purpose)
        if other != purpose:
            name = "Standard output" if is_stdout(path) else path
            raise ClashError(f"{name} is to be {other} and {purpose} at once.", "Give each a path of its own.")


def is_device(path: Path) -> bool:
    """Whether it is there and neither file nor folder: what is written to a device or a pipe takes nobody's place."""
    # pathlib's questions raise for names that can't be.
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)  # noqa: PTH110, PTH112, PTH113


def is_stdout(path: Path) -> bool:
    """Whether what is written there goes to standard output."""
    return str(path) == "-"


def _environment_speaks() -> bool:
    """Whether any setting may be set. If not, the module that would ask is not loaded: that takes its time."""
    return Path(".env").exists() or any(name.upper().startswith("EBINGEST_") for name in os.environ)


@contextmanager
def written(path: Path | None, *, private: bool = False) -> Iterator[BinaryIO | None]:
    """A file that is there as a whole once the body has ended, and not at all before; None for None, `-` is stdout.

    A file that was there keeps its rights, and its owner where that may be given; a new one that is `private` is its
    owner's alone to read. A pipe or a device is written to as it is: a file put in its place would be the end of it.

    Raises:
        ConfigurationError: it can't be made.
        StorageError: it can't be written.
    """
    if path is None:
        yield None
        return
    if is_stdout(path):
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if os.path.isdir(path):  # noqa: PTH112 - as below
        raise unwritable(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    in_place = is_device(path)
    path = path if in_place else Path(os.path.realpath(path))
    aside = path.with_name(f".{path.name}.part")
    try:
        opened = path.open("wb") if in_place else _opened_in_place_of(path, aside, private=private)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        with opened as file:
            yield file
        if not in_place:
            aside.replace(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StorageError(
            f"{path} can't be written: {error.strerror}.", "Free some space or give another path."
        ) from error
    finally:
        if not in_place:
            aside.unlink(missing_ok=True)


def _opened_in_place_of(path: Path, aside: Path, *, private: bool) -> BinaryIO:
    """Open `aside` to write what is to take the place of `path`, with its rights; nobody else can read it before."""
    aside.unlink(missing_ok=True)  # what a killed run left has rights of its own
    try:
        old = path.stat()
    except OSError:
        old = None
    aside.touch(mode=0o666 if old is None and not private else 0o600)
    file = aside.open("wb")
    if old is not None:
        if hasattr(os, "chown"):
            with suppress(OSError):  # only the privileged may give a file away
                os.chown(aside, old.st_uid, old.st_gid)
        with suppress(OSError):  # not every file system has rights
            aside.chmod(stat.S_IMODE(old.st_mode))
    return file
