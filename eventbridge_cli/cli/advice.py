"""What to type next, where a summary says it in two ways, or `ebingest status` says the same."""

from collections.abc import Mapping, Sequence

from eventbridge_cli.wording import counted

RUN_AGAIN = "run the same command again: it sends what is pending, and nothing twice"


def how_to_hand_on(waiting: Mapping[str, int], failed: Sequence[str] = ()) -> str:
    """What to do about receipts that wait for the data lake.

    Args:
        waiting: how many, by target. Of a URL that has a query, the outbox keeps but a digest of that.
        failed: the targets that will not take them before somebody mends something.
    """
    hidden = ", ".join(target for target in waiting if "?" in target)
    first = f"mend what keeps {', '.join(failed)} from taking them, then " if failed else ""
    whole = f", with the whole URL of {hidden} in EBINGEST_SYNC, since its query is not kept" if hidden else ""
    left = counted(sum(waiting.values()), "receipt")
    return f"{first}hand the {left} left for the data lake on with: ebingest sync{whole}"


def how_to_mend(letters: str | None) -> str:
    """What to do about bad records: `letters` keeps them, or they are dead letters already."""
    again = f"ebingest replay {letters}" if letters else "replay the letters again"
    return f"mend the bad records, then: {again}"


def how_to_satisfy_strict(bad: int) -> str:
    """What to do where --strict has sent nothing."""
    return f"mend the {counted(bad, 'bad record')} in the input, or run without --strict"
