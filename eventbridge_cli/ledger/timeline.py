"""What the audit file says of its runs, and of each over time: one pass, memory that does not grow."""

from collections import Counter
from datetime import datetime
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from eventbridge_cli.ledger import entries
from eventbridge_cli.ledger.account import Counts
from eventbridge_cli.ledger.buckets import Buckets
from eventbridge_cli.ledger.history import Finding, verify
from eventbridge_cli.ledger.latency import Latency
from eventbridge_cli.ledger.requests import Coverage, Passed, Requests
from eventbridge_cli.ledger.sightings import OTHER, Sightings

IN_FULL = 20
"""Runs of which the course is kept, the newest."""
LISTED = 500
"""Runs of which the account is kept, the newest."""
NOT_ACCEPTED = "not_accepted_yet"
"""Why events that a good answer left out are sent again."""

_FINDINGS = 20  # named one by one
_INPUTS = 5
_OUTCOMES = 12  # ways in which an attempt fails, before the rest are one


class Course(Struct):
    """How a run went over time, and what kept records back.

    `reasons` counts rejected records; `problems` what was wrong with them, by reason, code and field; `troubles` what
    else became of a record, by outcome and cause; `sources` records that did not arrive, by source and outcome.
    """

    buckets: Buckets = field(default_factory=Buckets)
    latency: Latency = field(default_factory=Latency)
    busy: Coverage = field(default_factory=Coverage)
    retries: Counter[str] = field(default_factory=Counter)
    reasons: Sightings = field(default_factory=Sightings)
    problems: Sightings = field(default_factory=Sightings)
    troubles: Sightings = field(default_factory=Sightings)
    sources: Sightings = field(default_factory=Sightings)

    def pass_by(self, passed: Passed) -> None:
        """Enter the time that a request has waited and been on the way."""
        if passed.waiting is not None:
            for bucket, seconds in self.buckets.over(*passed.waiting):
                bucket.waiting += seconds
        if passed.in_flight is not None:
            self.busy.add(*passed.in_flight)
            for bucket, seconds in self.buckets.over(*passed.in_flight):
                bucket.in_flight += seconds
            if passed.seconds is not None:
                self.latency.add(passed.seconds)
                self.buckets.at(passed.in_flight[1]).latency.add(passed.seconds)

    def retried(self, outcome: str, now: float) -> None:
        """An attempt failed and another one follows."""
        outcome = NOT_ACCEPTED if outcome == "delivered" else outcome
        if outcome not in self.retries and len(self.retries) >= _OUTCOMES:
            outcome = OTHER
        self.retries[outcome] += 1
        self.buckets.at(now).retries[outcome] += 1


class RunTimeline:
    """A run as its lines tell it. `finished` is its own last word; without it everything is recounted from the lines.

    `course` is None for all but the newest runs of a file.
    """

    def __init__(self, run: str, began: datetime) -> None:
        self.run = run
        self.began = began
        self.ended = began
        self.started: entries.Started | None = None
        self.finished: entries.Finished | None = None
        self.course: Course | None = Course()
        self.copies = Counter[str]()
        self.splits = 0
        self.inputs = 0
        self.recount = Counter[str]()
        self.requests = Requests()

    @property
    def counts(self) -> Counts:
        """The account: the run's own, or what the lines come to, with all that has no outcome as pending."""
        if self.finished is not None:
            return Counts(**asdict(self.finished.counts))
        unsettled = sum(events for _, events in self.requests.unsettled)
        found = self.recount + Counter(pending=unsettled)
        return Counts(read=found.total(), **found)

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.finished.seconds if self.finished else self._since(self.ended)

    def take(self, entry: entries.Entry) -> None:
        """Take in the next line of this run."""
        self.ended = max(self.ended, entry.moment)
        now = self._since(entry.moment)
        outcome, records = entries.became(entry)
        if outcome:
            self.recount[outcome] += records
        match entry:
            case entries.Started():
                self.inputs = len(entry.inputs)
                self.started = replace(entry, inputs=entry.inputs[:_INPUTS])
            case entries.Finished():
                self.finished = entry
                self.requests.end()
            case entries.Rejected():
                self._rejected(entry)
            case entries.Dropped():
                self._dropped(entry)
            case _:
                passed = self._of_request(entry, now)
                if self.course is not None:
                    self.course.pass_by(passed)

    def _since(self, time: datetime) -> float:
        return max(0.0, (time - self.began).total_seconds())

    def _of_request(self, entry: entries.Entry, now: float) -> Passed:
        match entry:
            case entries.Submitted(request_id=request_id, events=events, bytes=size, places=places):
                return self.requests.submit(request_id, now, events=events, size=size, place=next(iter(places), ""))
            case entries.Retried():
                if self.course is not None:
                    self.course.retried(entry.outcome, now)
                return self.requests.retry(
                    entry.request_id, now, number=entry.number, seconds=entry.seconds, delay=entry.delay
                )
            case entries.Succeeded():
                if self.course is not None:
                    self.course.buckets.at(now).delivered += len(entry.records)
                return self.requests.settle(entry.request_id, now, seconds=entry.seconds)
            case entries.Failed():
                self._failed(entry)
                return self.requests.settle(entry.request_id, now, attempts=entry.attempts)
            case _:
                self.splits += 1
                return self.requests.settle(entry.request_id, now)

    def _rejected(self, entry: entries.Rejected) -> None:
        if self.course is None:
            return
        self.course.reasons.add(entry.reason)
        self.course.sources.add(entry.source, "rejected", place=entry.place)
        for problem in entry.problems:
            self.course.problems.add(entry.reason, problem.code, problem.path, place=entry.place)

    def _dropped(self, entry: entries.Dropped) -> None:
        self.copies["of an earlier run" if entry.delivered_by_run else "in the input"] += 1
        if entry.conflict and self.course is not None:
            self.course.troubles.add("duplicate", "its content differs from the event it copies", place=entry.place)

    def _failed(self, entry: entries.Failed) -> None:
        if self.course is None:
            return
        cause = entry.cause if entry.outcome == "pending" else f"http_{entry.status or 0}"
        for record in entry.records:
            self.course.troubles.add(entry.outcome, cause, place=record.place)
            self.course.sources.add(record.place.rpartition(":")[0], entry.outcome, place=record.place)


class Timeline(Struct):
    """The runs of an audit file in the order in which they began, and what is wrong with the file.

    `unlisted` counts runs that are older than those in `runs`; `findings` are the first ones of `wrong`.
    """

    path: Path
    runs: dict[str, RunTimeline] = field(default_factory=dict)
    unlisted: int = 0
    lines: int = 0
    wrong: int = 0
    findings: list[Finding] = field(default_factory=list)

    def take(self, entry: entries.Entry) -> None:
        """Take in a line."""
        self.lines += 1
        if entry.event not in entries.KINDS:
            return
        if entry.run not in self.runs:
            self._begin(entry)
        self.runs[entry.run].take(entry)

    def find(self, finding: Finding) -> None:
        """Something is wrong with the file."""
        self.wrong += 1
        if len(self.findings) < _FINDINGS:
            self.findings.append(finding)

    def _begin(self, entry: entries.Entry) -> None:
        self.runs[entry.run] = RunTimeline(entry.run, entry.moment)
        if len(self.runs) > LISTED:
            del self.runs[next(iter(self.runs))]
            self.unlisted += 1
        if len(self.runs) > IN_FULL:
            list(self.runs.values())[-IN_FULL - 1].course = None


def timeline(path: Path, run: str = "") -> Timeline:
    """Read an audit file.

    Args:
        path: the file.
        run: the beginning of the ids of the runs to take; all by default. The whole file is checked all the same.

    Raises:
        UsageError: the file is not there or can't be read.
    """
    found = Timeline(path)
    for finding in verify(path, lambda entry: found.take(entry) if entry.run.startswith(run) else None):
        found.find(finding)
    return found
