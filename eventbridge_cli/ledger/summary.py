"""The account of a run as one object: the same as JSON, as text on the screen and in `RUN_FINISHED`."""

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from eventbridge_cli.errors import EbingestError, ExitCode
from eventbridge_cli.ledger.tally import Tally


class Summary(Struct, frozen=True, kw_only=True):
    """What a run did, with its exit code. Times in seconds, sizes in bytes.

    Where the input was not `read_to_end`, what is left of it stands in none of the counts.
    """

    run: str
    exit_code: int
    stopped: dict[str, str] | None
    counts: dict[str, int]
    conflicts: int
    troubles: list[dict[str, Any]]
    dropped_fields: dict[str, int]
    delivered_earlier: dict[str, int]
    pending_causes: dict[str, int]
    withheld: bool
    read_to_end: bool
    warnings: dict[str, int]
    chunks: int
    requests: int
    retries: int
    unknown_outcomes: int
    splits: int
    bytes_sent: int
    seconds: float
    busy_seconds: float
    events_per_second: float
    latency: dict[str, Any]
    sync: list[dict[str, Any]]
    files: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarize(
    tally: Tally, *, run: str, error: EbingestError | None, files: dict[str, str], sync_required: bool = False
) -> Summary:
    """Draw the account.

    Raises:
        AccountError: it does not balance.
    """
    tally.counts.check()
    busy = tally.busy_seconds
    latency = tally.latency
    return Summary(
        run=run,
        exit_code=_exit_code(tally, error, sync_required=sync_required),
        stopped=None if error is None else error.as_dict(),
        counts=asdict(tally.counts),
        conflicts=tally.conflicts,
        troubles=[asdict(trouble) for trouble in sorted(tally.troubles.values(), key=lambda t: -t.count)],
        dropped_fields=dict(tally.dropped_fields.most_common()),
        delivered_earlier=dict(tally.skipped),
        pending_causes=dict(tally.causes.most_common()),
        withheld=tally.withheld,
        read_to_end=tally.read_to_end,
        warnings=dict(tally.warnings),
        chunks=tally.chunks,
        requests=tally.requests,
        retries=tally.retries,
        unknown_outcomes=tally.unknown,
        splits=tally.splits,
        bytes_sent=tally.bytes_sent,
        seconds=round(tally.clock() - tally.started, 3),
        busy_seconds=round(busy, 3),
        events_per_second=round(tally.counts.delivered / busy, 1) if busy else 0.0,
        latency={
            "p50": round(latency.quantile(0.5), 4),
            "p90": round(latency.quantile(0.9), 4),
            "p99": round(latency.quantile(0.99), 4),
            "max": round(latency.longest, 4),
            "histogram": [
                {"up_to": bound if bound != float("inf") else None, "requests": count}
                for bound, count in latency.histogram()
            ],
        },
        sync=[asdict(counts) for counts in tally.syncs.values()],
        files=files,
    )


def _exit_code(tally: Tally, error: EbingestError | None, *, sync_required: bool) -> int:
    if error is not None:
        return error.exit_code
    if tally.counts.pending and not tally.withheld:
        return ExitCode.PENDING
    if sync_required and any(sync.pending or sync.failed for sync in tally.syncs.values()):
        return ExitCode.PENDING
    return ExitCode.SOME_BAD if tally.counts.rejected or tally.counts.refused else ExitCode.DONE
