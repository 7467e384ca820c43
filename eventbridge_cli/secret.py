"""Text that no message, log line or traceback may show."""

from typing import Protocol


class SecretText(Protocol):
    """What gives a secret away only when it is asked to: `Secret`, or pydantic's `SecretStr`."""

    def get_secret_value(self) -> str:
        """The text itself."""
        ...


class Secret:
    """A secret that shows itself as stars. It is read as pydantic's `SecretStr` is, which takes longer to load."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')"
