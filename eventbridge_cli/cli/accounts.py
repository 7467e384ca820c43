"""The account of a run, as people read it: what became of the records, what went wrong, and what to do next."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from eventbridge_cli.cli.advice import RUN_AGAIN, how_to_hand_on, how_to_mend, how_to_satisfy_strict
from eventbridge_cli.wording import counted, duration, safe, share, size

if TYPE_CHECKING:
    from eventbridge_cli.cli.advice import Given
    from eventbridge_cli.cli.screen import Part, Screen
    from eventbridge_cli.ledger.account import Account
    from eventbridge_cli.ledger.summary import Summary

_BAR = 30
_NAMES = 11  # columns for the names of an account
_TOP = 10
_STYLES = {
    "delivered": "green",
    "valid": "green",
    "unique": "green",
    "duplicate": "cyan",
    "rejected": "red",
    "refused": "red",
    "pending": "yellow",
}


def show_account(screen: "Screen", title: str, rows: dict[str, int], tally: "Account") -> None:
    """All that there is to say of records that were only read: `rows` count them."""
    show_counts(screen, title, rows)
    show_troubles(screen, tally)
    show_dropped_fields(screen, dict(tally.dropped_fields))


def show_counts(screen: "Screen", title: str, rows: dict[str, int]) -> None:
    """An account: a title, and a row for each count with its share of the first."""
    if screen.quiet:
        return
    screen.line((title, "bold"))
    for parts in _rows(rows):
        screen.line(*parts)


def show_troubles(screen: "Screen", tally: "Account") -> None:
    """What was wrong, most frequent first, with one place each."""
    found = sorted(tally.troubles.values(), key=lambda trouble: -trouble.count)
    _troubles(screen, [asdict(trouble) for trouble in found])


def _troubles(screen: "Screen", troubles: list[dict[str, Any]]) -> None:
    if not troubles or screen.quiet:
        return
    screen.line(("\nWhat is wrong", "bold"))
    for each in troubles[:_TOP]:
        what = f"{each['reason']}: {each['code']}" + (f" in {each['path']}" if each["path"] else "")
        first = f"first at {each['example']}" + (f": {each['said']}" if each["said"] else "")
        screen.line((f"{each['count']:>10,}", "red"), f"  {safe(what)}")
        screen.line((f"{'':12}{safe(first)}", "dim"))
    if len(troubles) > _TOP:
        screen.line(f"  and {counted(len(troubles) - _TOP, 'reason')} more")


def show_dropped_fields(screen: "Screen", dropped: dict[str, int]) -> None:
    """Fields that the schema does not have, left out of what is sent."""
    if dropped:
        names = ", ".join(f"{name} ({count:,})" for name, count in list(dropped.items())[:_TOP])
        screen.warn(f"fields that the schema does not have were left out: {names}.")


def show_summary(
    screen: "Screen", summary: "Summary", given: "Given", *, kept: bool = True, replayed: bool = False
) -> None:
    """The account of a run that was `given` some options.

    `kept` tells whether its state outlives it, `replayed` whether it sent dead letters.
    """
    if screen.quiet:
        if summary.exit_code:
            _shortfalls(screen, summary, given)
        return
    show_counts(screen, f"Run {summary.run}, {duration(summary.seconds)}", summary.counts)
    if summary.requests:
        _delivery(screen, summary)
    _troubles(screen, summary.troubles)
    show_sync(screen, summary.sync)
    screen.line("")
    show_dropped_fields(screen, summary.dropped_fields)
    if summary.conflicts:
        screen.warn(
            f"{counted(summary.conflicts, 'conflict')} among the duplicates, where the content differs; "
            "see them with: ebingest dedupe --explain"
        )
    for warning, count in summary.warnings.items():
        screen.warn(f"{counted(count, 'request')} counted as delivered although {warning}.")
    if summary.unknown_outcomes:
        unknown = counted(summary.unknown_outcomes, "request")
        screen.warn(f"{unknown} got no answer; each is sent again under the same id.")
    for name, path in summary.files.items():
        screen.line(f"{name.replace('_', ' ').capitalize():13} {safe(path)}")
    _next(screen, summary, given, kept=kept, replayed=replayed)


def show_sync(screen: "Screen", syncs: list[dict[str, Any]]) -> None:
    """What was handed to the data lake, and what waits; what is failed waits as well, for somebody.

    A message is about what is not settled yet. That is an error, to be told even if quiet.
    """
    if syncs and not screen.quiet:
        screen.line(("\nData lake", "bold"))
    for each in syncs:
        target, message = safe(each["target"]), safe(each["message"])
        settled = not (each["pending"] or each["failed"] or message)
        parts = [f"{each['synced']:,} handed over"]
        parts += [f"{each[name]:,} {name}" for name in ("pending", "failed") if each[name]]
        if not screen.quiet:
            screen.line(f"  {target}  ", (", ".join(parts), "green" if settled else "yellow"))
            if message:
                screen.line(f"    {message}")
        elif not settled:
            screen.line(("Error: ", "bold red"), f"{target}  {', '.join(parts)}. {message}")


def _shortfalls(screen: "Screen", summary: "Summary", given: "Given") -> None:
    """Each reason why the run did not end with exit code 0, in a line, even if quiet."""
    counts, letters = summary.counts, summary.files.get("dead_letters")
    bad = ", ".join(f"{counts[name]:,} {name}" for name in ("rejected", "refused") if counts[name])
    found = []
    if summary.stopped:
        found.append(f"{summary.stopped['message']} {summary.stopped['remedy']}")
    elif summary.withheld:
        found.append(f"nothing was sent, {bad}. Next: {how_to_satisfy_strict(counts['rejected'])}")
    elif counts["pending"]:
        cause = next(iter(summary.pending_causes)).rstrip(".")
        found.append(f"{counts['pending']:,} pending: {cause}. Next: {RUN_AGAIN}")
    if bad and not summary.withheld:
        kept = f", kept in {letters}" if letters else ""
        advice = "; ".join(how_to_mend(given, summary))
        found.append(f"{bad}{kept}. Next: {advice}")
    for line in found:
        screen.line(("Error: ", "bold red"), safe(line))
    show_sync(screen, summary.sync)


def show_skipped(screen: "Screen", runs: Mapping[str, int], *, can_resend: bool = True) -> None:
    """How many events earlier runs had delivered."""
    for run, count in runs.items():
        resend = "; --resend sends them all the same" if can_resend else ""
        screen.say(f"Skipped       {count:,} that run {run} delivered{resend}")


def _delivery(screen: "Screen", summary: "Summary") -> None:
    latency = summary.latency
    retries = f", {counted(summary.retries, 'retry')}" if summary.retries else ""
    screen.line(("\nDelivery", "bold"))
    screen.line(
        f"  {counted(summary.requests, 'request')}{retries}, {size(summary.bytes_sent)} in "
        f"{duration(summary.busy_seconds)}: {summary.events_per_second:,.0f} events/s"
    )
    marks = "   ".join(f"{name} {duration(latency[name])}" for name in ("p50", "p90", "p99", "max"))
    screen.line(f"  latency  {marks}")
    most = max(row["requests"] for row in latency["histogram"])
    for row in latency["histogram"]:
        if row["requests"]:
            bound = f"up to {duration(row['up_to'])}" if row["up_to"] else "longer"
            bar = "━" * max(1, round(_BAR * row["requests"] / most))
            screen.line(f"  {bound:>13} ", (bar, "blue"), f" {row['requests']:,}")


def _next(screen: "Screen", summary: "Summary", given: "Given", *, kept: bool, replayed: bool) -> None:
    """What to do next, where something is amiss."""
    show_skipped(screen, summary.delivered_earlier, can_resend=not replayed)
    if not summary.read_to_end:
        screen.line("Input         not read to its end; what is left of it is in none of these counts")
    advice = []
    bad = summary.counts["rejected"] + summary.counts["refused"]
    if summary.stopped:
        screen.line("\n", ("Stopped: ", "bold red"), safe(summary.stopped["message"]))
        advice += summary.stopped["remedy"].splitlines()
    elif summary.withheld:
        screen.line("\n", ("Nothing was sent: ", "bold yellow"), "--strict wants every record good.")
        advice.append(how_to_satisfy_strict(bad))
    elif summary.counts["pending"]:
        cause = next(iter(summary.pending_causes))
        screen.line("\n", ("Pending: ", "bold yellow"), safe(cause))
        advice.append(RUN_AGAIN)
    if bad and not summary.withheld:
        advice += how_to_mend(given, summary)
    waiting = {each["target"]: left for each in summary.sync if (left := each["pending"] + each["failed"])}
    if waiting and kept:
        failed = [each["target"] for each in summary.sync if each["failed"]]
        advice.append(how_to_hand_on(given, waiting, failed))
    elif waiting:
        left = sum(waiting.values())
        screen.warn(f"{counted(left, 'receipt')} did not reach the data lake and will go with the sandbox's state.")
    for line in advice:
        screen.line(("Next: ", "bold"), safe(line))


def _rows(rows: dict[str, int]) -> "Iterator[tuple[Part, ...]]":
    total = next(iter(rows.values()))
    cells: list[tuple[str, str, str, str, str]] = []
    for index, (name, count) in enumerate(rows.items()):
        style = _STYLES.get(name, "") if count else "dim"
        percent, bar = "", ""
        if index and count:
            percent, bar = share(count, total), "━" * max(1, round(_BAR * count / total))
        cells.append((style, f"  {name}", f"{count:,}", percent, bar))
    _, names, counts, shares, bars = (max(map(len, column)) for column in zip(*cells, strict=True))
    for style, name, figure, percent, bar in cells:
        padded = f"{name:{max(names, _NAMES)}}", f"{figure:>{counts}}", f"{bar:{bars}}"
        yield (padded[0], style), "  ", (padded[1], style), f"  {percent:>{shares}}  ", (padded[2], style)
