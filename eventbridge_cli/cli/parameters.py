"""Parameters that typer converts only where there is something to convert, and help that is easy to read.

To convert a value it loads half of pydantic, and it does so for values that nobody gave. But a default has its type
already, as mypy sees to, and names of files are the text that was typed. Whatever else is given, typer converts, and
says what is wrong with it. This rests on names of typer's that may go: things then take longer, and work the same.

Typer breaks the lines of help where the docstring breaks them, whatever the width of the terminal.
"""

import re
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from eventbridge_cli.errors import ExitCode

_NAMES = ("process_value", "required", "callback", "default", "multiple", "nargs")

PRINTS_JSON = "prints_json"
"""Where the context of a command line tells whether its command was asked for JSON."""


_ASKS_FOR_JSON = re.compile(r"(?:^|\0)(?:-[a-z]*o\0?|--output[\0=])json(?:\0|$)")


class _Ours:
    def get_params(self, ctx: Any) -> Any:
        return sparing(super().get_params(ctx))  # type: ignore[misc]  # the other base has it, as below

    def format_help(self, ctx: Any, formatter: Any) -> None:
        legible(self, self.get_params(ctx))
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]
        except SystemExit:  # so rich ends if whoever read the help has had enough
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None


class Command(_Ours, TyperCommand):
    """A command with such parameters and such help."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take its command line apart; if that fails, JSON may have been asked for all the same."""
        has_formats = any(each.name == "output" and each.default == "text" for each in self.params)
        ctx.meta[PRINTS_JSON] = has_formats and _ASKS_FOR_JSON.search("\0".join(args)) is not None
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run it; whoever tells of an error is to know whether JSON was asked for."""
        ctx.meta[PRINTS_JSON] = ctx.params.get("output") == "json"  # a file of that name is a path, and equals no text
        return super().invoke(ctx)


class Group(_Ours, TyperGroup):
    """Commands under one name, likewise."""


def legible(command: Any, parameters: list[Any]) -> None:
    """Let paragraphs flow, but for those that begin with a backspace, and leave more of the width to what is said.

    That an option is a flag, or a list of texts, needs no column. The opposite of a flag stands in its own text.
    """
    paragraphs = (command.help or "").split("\n\n")
    command.help = "\n\n".join(
        text.removeprefix("\b\n") if text.startswith("\b") else text.replace("\n", " ") for text in paragraphs
    )
    for parameter in parameters:
        parameter.secondary_opts = []
        if parameter.param_type_name == "argument" or parameter.is_flag:
            parameter.display_type_rich = lambda **_: ""


def sparing(parameters: list[Any]) -> list[Any]:
    """The same parameters, made such."""
    for parameter in parameters:
        if all(hasattr(parameter, name) for name in _NAMES):
            parameter.process_value = partial(_process_value, parameter)
    return parameters


def _process_value(parameter: Any, ctx: Any, value: Any) -> Any:
    many = parameter.multiple or parameter.nargs == -1
    if many and value is None and not parameter.required:
        value = ()
    elif isinstance(value, list | tuple) and value and _takes_texts(parameter) and all(map(str.isascii, value)):
        value = list(value)  # of other text, pydantic refuses what is not UTF-8
    elif many or parameter.required or value is not parameter.default:
        return type(parameter).process_value(parameter, ctx, value)
    return value if parameter.callback is None else parameter.callback(ctx, parameter, value)


def _takes_texts(parameter: Any) -> bool:
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    return bool(annotation == list[str])
