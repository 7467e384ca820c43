"""Rich's console, as the tool uses it. It takes its time to load: import it where something is printed with it."""

import rich.console


class Console(rich.console.Console):
    """Shows data as it is, and never ends the process, as rich does where a pipe is broken.

    With `goes_on` the rest is told to nobody then; else BrokenPipeError is for whoever prints.
    """

    def __init__(self, *, stderr: bool = False, force_terminal: bool | None = None, goes_on: bool = False) -> None:
        super().__init__(stderr=stderr, force_terminal=force_terminal, highlight=False, markup=False, emoji=False)
        self._goes_on = goes_on

    def on_broken_pipe(self) -> None:
        """Whoever read the output has gone."""
        self.quiet = True
        if not self._goes_on:
            raise BrokenPipeError
