"""What to type next, where a summary and `ebingest status` say the same."""

from collections.abc import Mapping, Sequence


def how_to_hand_on(waiting: Mapping[str, int], failed: Sequence[str] = ()) -> str:
    """What to do about receipts that wait for the data lake.

    Args:
        waiting: how many, by target. Of a URL that has a query, the outbox keeps but a digest of that.
        failed: the targets that will not take them before somebody mends something.
    """
    hidden = ", ".join(target for target in waiting if "?" in target)
    first = f"mend what keeps {', '.join(failed)} from taking them, then " if failed else ""
    whole = f", with the whole URL of {hidden} in EBINGEST_SYNC, since its query is not kept" if hidden else ""
    count = sum(waiting.values())
    return f"{first}hand the {count:,} receipts that wait for the data lake on with: ebingest sync{whole}"
