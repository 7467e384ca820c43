"""The commands, and the one boundary at which errors become text and exit codes."""

import gc
import json
import os
import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any, TextIO

import typer

from eventbridge_cli import __version__
from eventbridge_cli.cli.parameters import PRINTS_JSON, Command, Group
from eventbridge_cli.errors import (
    EbingestError,
    ExitCode,
    StorageError,
    UsageError,
    is_about_output,
    is_lack_of_space,
    known,
)

# Nothing can be read from standard input, and nothing can be written to standard output.
_STREAMS = (("stdin", os.O_RDONLY, "r"), ("stdout", os.O_RDONLY, "w"), ("stderr", os.O_WRONLY, "w"))

COMMANDS = ("validate", "dedupe", "ingest", "replay", "sync", "status", "report", "token", "doctor", "sandbox", "audit")
"""Each is a function, or a group of commands, in the module of its name."""


class _Commands(Group):
    """Loads a command when it is called; gives the two ways in which people end one their own exit codes."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature, as below
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in self.commands:
            found = getattr(import_module(f"eventbridge_cli.cli.{cmd_name}"), cmd_name)
            if not isinstance(found, typer.Typer):
                single = typer.Typer(rich_markup_mode="rich", add_completion=False)
                single.command(cmd_name, cls=Command)(found)
                found = single
            self.commands[cmd_name] = typer.main.get_command(found)
        return self.commands[cmd_name]

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return self._invoke(ctx)
        except BrokenPipeError:
            # Whoever read our output has had enough.
            _let_go(sys.stdout)
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None
        except KeyboardInterrupt:
            raise typer.Exit(ExitCode.INTERRUPTED) from None

    def _invoke(self, ctx: typer.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EbingestError as error:
            _tell(error)
            _print(error, ctx)
            raise typer.Exit(error.exit_code) from None
        except Exception as error:
            # Typer tells people itself what it can't make sense of. Its class of such errors has no public name.
            if hasattr(error, "format_message"):
                _print(UsageError(error.format_message(), "See --help for what it takes."), ctx)
            raise


app = typer.Typer(
    name="ebingest",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        typer.echo(f"ebingest {__version__}")
        raise typer.Exit


@app.callback()
def ebingest(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Load interaction events into a Genesys Cloud style endpoint, and account for every record.

    [b]Try it:[/b]  ebingest ingest sample_events/interactions.ndjson --sandbox

    \b
    [b]Exit codes[/b]
      0  every record delivered or a duplicate (validate: every record valid)
      1  ran to the end; some records were rejected or refused
      2  usage: an unknown option, a missing file
      3  configuration, credentials or endpoint: mend, and run again
      4  stopped by --max-errors
      5  some records are pending: run again to resume (sync: some still wait)
      6  another run holds the same state
     70  a bug of ours       129, 130, 143  interrupted, in order
    """  # noqa: D301 - typer keeps the lines of a paragraph that begins with a backspace


def main() -> None:
    """Run the command line. Every way to the exit leads through here."""
    # httpx loads a command line of its own, and click, rich and pygments with it, unless it finds one of them missing.
    sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as the import system allows
    _open_what_is_closed()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # what its encoding lacks is shown as on standard error
    try:
        app(prog_name=app.info.name)  # or `python -m` would make one of its own, to which no completion can be bound
    except Exception as error:  # noqa: BLE001 - the last resort: whatever comes here is a bug, or about what is printed
        if not is_about_output(error):
            bug = known(error)
            _tell(bug)
            sys.exit(bug.exit_code)
        _let_go(sys.stdout)
        remedy = "Free some space" if is_lack_of_space(error) else "Leave it open, or send it to a file"
        _tell(StorageError(f"Standard output can't be written: {error.strerror}.", f"{remedy}, then run again."))
        sys.exit(StorageError.exit_code)
    finally:
        try:
            sys.stderr.flush()
        except OSError:
            _let_go(sys.stderr)
        gc.freeze()  # the process ends; to look for garbage in all that is loaded would take tens of milliseconds


def _open_what_is_closed() -> None:
    """Give standard streams that the caller has closed back their numbers, or the next file to be opened takes them.

    An input that is closed is empty. What can't be shown is not; data that can't be printed is an error, though.
    """
    for number, (name, flags, mode) in enumerate(_STREAMS):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            assert opened == number  # noqa: S101 - the lowest number that is free
            setattr(sys, name, os.fdopen(opened, mode))


def _let_go(stream: TextIO) -> None:
    """Write what is left to nowhere: Python would try to flush it at the end, and take the failure for its own."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _print(error: EbingestError, ctx: typer.Context) -> None:
    if ctx.meta.get(PRINTS_JSON):
        typer.echo(json.dumps({"exit_code": error.exit_code, "stopped": error.as_dict()}))


def _tell(error: EbingestError) -> None:
    from eventbridge_cli.cli.screen import Screen

    Screen(goes_on=True).error(error)
