"""Parameters that typer converts only where there is something to convert.

To convert a value it loads half of pydantic, and it does so for values that nobody gave. But a default has its type
already, as mypy sees to, and names of files are the text that was typed. Whatever else is given, typer converts, and
says what is wrong with it. This rests on names of typer's that may go: things then take longer, and work the same.
"""

from functools import partial
from typing import Any

from typer.core import TyperCommand

_NAMES = ("process_value", "required", "callback", "default", "multiple", "nargs")

PRINTS_JSON = "prints_json"
"""Where the context of a command line tells whether its command was asked for JSON."""


class Command(TyperCommand):
    """A command with such parameters."""

    def invoke(self, ctx: Any) -> Any:
        """Run it; whoever tells of an error is to know whether JSON was asked for."""
        ctx.meta[PRINTS_JSON] = ctx.params.get("output") == "json"  # a file of that name is a path, and equals no text
        return super().invoke(ctx)

    def get_params(self, ctx: Any) -> Any:
        """All parameters, --help too."""
        return sparing(super().get_params(ctx))


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
