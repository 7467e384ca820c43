"""From the command line to an intake: what validate, dedupe and ingest have in common."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from eventbridge_cli.errors import StorageError, UsageError

if TYPE_CHECKING:
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.settings import Settings


def intake_of(
    inputs: Sequence[str] | None, settings: "Settings", *, strict: bool, own_files: Sequence[Path | None] = ()
) -> "Intake":
    """What to read, and how.

    Raises:
        UsageError: an input is not there; or none is named and standard input is a terminal.
    """
    from eventbridge_cli.intake.dedupe import Key
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.intake.sources import Meter, resolve, size_of

    if not inputs and sys.stdin.isatty():
        raise UsageError(
            "There is nothing to read.",
            "Name a file, a folder or a quoted glob, or pipe events in; see --help.",
        )
    sources = resolve(inputs or [], leave_out=[path for path in own_files if path is not None])
    return Intake(
        sources=tuple(sources),
        strict=strict,
        max_record_bytes=settings.max_record_bytes,
        key=Key(settings.key),
        window=settings.window,
        window_size=settings.window_size,
        chunk_events=settings.chunk_events,
        chunk_bytes=settings.chunk_bytes,
        meter=Meter(size_of(sources)),
    )


@contextmanager
def written(path: Path | None) -> Iterator[BinaryIO | None]:
    """A file that is there as a whole once the body has ended, and not at all before; None for None, `-` is stdout.

    A pipe or a device is written to as it is: a file put in its place would be the end of it.

    Raises:
        StorageError: it can't be written.
    """
    if path is None:
        yield None
        return
    if str(path) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    in_place = path.exists() and not path.is_file()
    aside = path.with_name(f".{path.name}.part")
    try:
        with (path if in_place else aside).open("wb") as file:
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
        aside.unlink(missing_ok=True)
