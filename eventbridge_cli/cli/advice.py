"""What to type next, where a summary says it in two ways, or `ebingest status` says the same."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from eventbridge_cli.wording import counted

if TYPE_CHECKING:
    from eventbridge_cli.ledger.summary import Summary

Given = Mapping[str, object]
"""Options that a command was given, None where it was not: what is to be typed next has to repeat some of them."""

RUN_AGAIN = "run the same command again: it sends what is pending, and nothing twice"


def how_to_hand_on(given: Given, waiting: Mapping[str, int], failed: Sequence[str] = ()) -> str:
    """What to do about receipts that wait for the data lake.

    Args:
        given: what the command was given.
        waiting: how many, by target. Of a URL that has a query, the outbox keeps but a digest of that.
        failed: the targets that will not take them before somebody mends something.
    """
    hidden = ", ".join(target for target in waiting if "?" in target)
    first = f"mend what keeps {', '.join(failed)} from taking them, then " if failed else ""
    whole = f", with the whole URL of {hidden} in EBINGEST_SYNC, since its query is not kept" if hidden else ""
    left = counted(sum(waiting.values()), "receipt")
    command = _typed("ebingest sync", given, "--audit", "--state")
    return f"{first}hand the {left} left for the data lake on with: {command}{whole}"


def how_to_mend(given: Given, summary: "Summary") -> Iterator[str]:
    """What to do about a run's bad records. A file keeps all but the longest, unless they are dead letters already."""
    letters, troubles = summary.files.get("dead_letters"), summary.troubles
    long = sum(each["count"] for each in troubles if (each["reason"], each["code"]) == ("oversized", "record"))
    if summary.counts["rejected"] + summary.counts["refused"] > long:
        again = replay_of(given, letters) if letters else "replay the letters again"
        yield f"mend the bad records, then: {again}"
    if long:
        over = f"{counted(long, 'record')} over --max-record-bytes"
        yield f"mend the {over} in the input, since no dead letter holds such a one, then run the same command again"


def replay_of(given: Given, letters: str) -> str:
    """The command that sends dead letters again."""
    return _typed(f"ebingest replay {shlex.quote(letters)}", given, "--key", "--audit", "--state")


def _typed(command: str, given: Given, *names: str) -> str:
    options = (f"{name} {shlex.quote(str(given[name]))}" for name in names if given.get(name) is not None)
    return " ".join([command, *options])


def how_to_satisfy_strict(bad: int) -> str:
    """What to do where --strict has sent nothing."""
    return f"mend the {counted(bad, 'bad record')} in the input, or run without --strict"
