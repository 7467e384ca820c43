"""Everything that can end a run, split by what to do about it.

EbingestError
├── UsageError                2   the command line is wrong, or names a file that is not there
│   └── ClashError            2   one file is named for two purposes
├── ConfigurationError        3   a setting is missing or wrong
│   ├── CredentialsError      3   the platform does not accept the id, the secret or the region
│   └── EndpointError         3   the platform will not take events from this client at this address
├── TooManyErrorsError        4   `--max-errors` was reached
├── PendingError              5   a passing cause: run again and it resumes
│   ├── StorageError          5   the disk is full or a file cannot be written
│   └── TargetError           5   a target of the data lake did not take a batch
├── StateLockedError          6   another run holds the same state
├── InterruptedRunError 129, 130, 143  Ctrl-C, or asked to end by another signal
├── UnexpectedError          70   an error that nothing was prepared for: a bug of ours
└── AccountError             70   the account does not balance: a bug of ours

A bad record is none of these: it is a `Rejection` in the stream.
"""

import errno
import traceback
from enum import IntEnum
from pathlib import Path
from typing import Self, TypeGuard


class ExitCode(IntEnum):
    """How a command ends, for scripts to act on; `meaning` says it to people."""

    meaning: str

    DONE = 0, "every record is delivered or a duplicate"
    SOME_BAD = 1, "ran to the end; some records were rejected or refused"
    USAGE = 2, "usage: an unknown option, a missing file"
    CONFIGURATION = 3, "configuration, credentials or endpoint: mend, and run again"
    TOO_MANY_ERRORS = 4, "stopped by --max-errors"
    PENDING = 5, "some records are pending for a passing cause: run again, and it resumes"
    STATE_LOCKED = 6, "another run holds the same state"
    BUG = 70, "a bug of ours: an error that nothing was prepared for, or an account that does not balance"
    HUNG_UP = 129, "its terminal was closed; ended in order: run again, and it resumes"
    INTERRUPTED = 130, "interrupted, in order: run again, and it resumes"
    BROKEN_PIPE = 141, "whoever read standard output closed it"  # 128 + SIGPIPE, as the shell reports it
    TERMINATED = 143, "asked to end by a signal, in order: run again, and it resumes"

    def __new__(cls, code: int, meaning: str) -> Self:
        """A member is its number; the meaning stands beside it."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


class EbingestError(Exception):
    """The root. Every error has a code for machines, an exit code for scripts and a remedy for people."""

    code = "error"
    exit_code: int = ExitCode.BUG

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message

    @property
    def in_one_line(self) -> str:
        """What went wrong, and what to do about it."""
        return f"{self.message} {self.remedy}".rstrip()

    def as_dict(self) -> dict[str, str]:
        """The error for machines."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


class UsageError(EbingestError):
    """The command line is wrong, or names a file that is not there."""

    code = "usage"
    exit_code = ExitCode.USAGE


class ClashError(UsageError):
    """One file is named for two purposes; nothing is written to it."""


class ConfigurationError(EbingestError):
    """A setting is missing or wrong; nothing (more) was sent."""

    code = "configuration"
    exit_code = ExitCode.CONFIGURATION


class CredentialsError(ConfigurationError):
    """The platform does not accept the client id, the secret or the region."""

    code = "credentials"


class EndpointError(ConfigurationError):
    """The platform will not take events from this client at this address."""

    code = "endpoint"


class TooManyErrorsError(EbingestError):
    """More bad records than `--max-errors` allows."""

    code = "too_many_errors"
    exit_code = ExitCode.TOO_MANY_ERRORS


class PendingError(EbingestError):
    """A passing cause stopped the run; running it again resumes."""

    code = "pending"
    exit_code = ExitCode.PENDING


class StorageError(PendingError):
    """The disk is full, or a file of the ledger cannot be written."""

    code = "storage"


class TargetError(PendingError):
    """A target of the data lake did not take a batch; what it holds is to be handed over again.

    Args:
        message: what went wrong, and at which target.
        remedy: what to do about it.
        permanent: trying again is in vain until somebody mends something.
        retry_after: seconds for which the target asks to be left alone.
    """

    code = "target"

    def __init__(
        self, message: str, remedy: str = "", *, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(message, remedy)
        self.permanent = permanent
        self.retry_after = retry_after


class StateLockedError(EbingestError):
    """Another run holds the same state or audit file."""

    code = "state_locked"
    exit_code = ExitCode.STATE_LOCKED


RESUMES = "Nothing is lost: run the same command again, and it resumes."
"""What to do about a run that has ended early, where nothing has to be mended."""


class InterruptedRunError(EbingestError):
    """Ctrl-C, or asked to end by a signal. `exit_code` is 128 and the signal's number."""

    code = "interrupted"

    def __init__(self, signal_number: int, remedy: str = RESUMES) -> None:
        super().__init__("The run was interrupted.", remedy)
        self.exit_code = 128 + signal_number


class UnexpectedError(EbingestError):
    """An error that nothing was prepared for. Always a bug of the tool."""

    code = "bug"
    exit_code = ExitCode.BUG


class AccountError(EbingestError):
    """The account does not balance. Always a bug of the tool."""

    code = "account"
    exit_code = ExitCode.BUG


def known(error: BaseException) -> EbingestError:
    """The error itself if it is one of ours, or else where it happened, without its text, which may quote a record."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, EbingestError):
        return error
    if isinstance(error, FileNotFoundError) and _is_nowhere():
        return ConfigurationError(
            "The folder in which the command was started is not there any more.",
            "Change to another folder, then run the same command again.",
        )
    frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
    places = ", called at ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames))
    return UnexpectedError(
        f"{type(error).__name__} at {places}.",
        "This is a bug of ebingest; please report these lines. "
        "Nothing is lost: what was delivered is on record, and the same command resumes.",
    )


def _is_nowhere() -> bool:
    """Whether the current folder has been removed, so that no path can be told from there."""
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


_MOST_FRAMES = 8  # the innermost
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def is_lack_of_space(error: OSError) -> bool:
    """Whether a write failed for a passing cause: no space, or a disk in trouble."""
    return error.errno in _NO_SPACE


def is_about_output(error: Exception) -> TypeGuard[OSError]:
    """Whether it was what is printed that could not be written: whoever opens a file turns its errors into ours."""
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    return is_lack_of_space(error) or error.errno == errno.EBADF


def bad_path(path: Path, why: str) -> ConfigurationError:
    """What to say of a path at which nothing can be written."""
    return ConfigurationError(
        f"{path} can't be written: {why}.", "Make the folder, mend its rights, or give another path."
    )


def unwritable(path: Path, error: OSError) -> EbingestError:
    """What to say of a file that can't be made or opened: free some space (5), or mend the path (3)."""
    if is_lack_of_space(error):
        return StorageError(
            f"{path} can't be written: {error.strerror}.", "Free some space, then run the same command again."
        )
    return bad_path(path, error.strerror or str(error))
