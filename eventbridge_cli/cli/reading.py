"""From the command line to an intake: what validate, dedupe and ingest have in common."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventbridge_cli.cli.writing import is_device, is_stdout
from eventbridge_cli.cores import usable_cores
from eventbridge_cli.errors import ClashError, UsageError

if TYPE_CHECKING:
    from eventbridge_cli.intake.pipeline import Intake
    from eventbridge_cli.settings import Settings


INTERRUPTED = (
    "The counts are of what was read by then; files are as they were. Run the same command again for all of it."
)
_USUAL = (Path("ingestion_audit.jsonl"), Path("dead_letters.ndjson"))
"""What runs write where nothing else is set. Who names a folder does not mean those."""

_STDOUT = Path("/dev/stdout")
"""A link to the file, if it is one, into which a shell has led standard output."""

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
    files = [_STDOUT if is_stdout(path) else path for path in own.values()]
    files = [path for path in files if path != _STDOUT or not is_device(path)]
    sources = resolve(inputs or [], written=files, pass_over=_USUAL)
    if _STDOUT in files and any(source.path is None for source in sources) and os.path.sameopenfile(0, 1):
        raise ClashError("Standard input and standard output are the same file.", "Give the output another name.")
    return Intake(sources=tuple(sources), strict=strict, meter=Meter(size_of(sources)), **chosen)


def _check_apart(own_files: Mapping[str, Path]) -> None:
    purposes: dict[str, str] = {}
    for purpose, path in own_files.items():
        other = purpose if is_device(path) else purposes.setdefault(os.path.realpath(path), purpose)
        if other != purpose:
            name = "Standard output" if is_stdout(path) else path
            raise ClashError(f"{name} is to be {other} and {purpose} at once.", "Give each a path of its own.")


def _environment_speaks() -> bool:
    """Whether any setting may be set. If not, the module that would ask is not loaded: that takes its time."""
    return Path(".env").exists() or any(name.upper().startswith("EBINGEST_") for name in os.environ)
