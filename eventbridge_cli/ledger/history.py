"""Read the audit file: is it whole, and what became of a run, an interaction, a place? Streaming, whatever its size."""

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict

from eventbridge_cli.errors import UsageError
from eventbridge_cli.ledger import entries
from eventbridge_cli.ledger.audit import CHAIN_START, line_hash
from eventbridge_cli.ledger.entries import Entry, entry_of

_REMEMBERED = 10_000  # lines whose hash is kept, to tell a line that was moved from one that was changed
_NUMBER = r"\d{1,18}"  # Python refuses to read numbers of thousands of digits
_SPAN = re.compile(
    rf"(?P<source>.*)(?::(?P<line>{_NUMBER})(?:-(?P<line_end>{_NUMBER}))?"
    rf"|\[(?P<item>{_NUMBER})(?:-(?P<item_end>{_NUMBER}))?\])"
)
_PLACE = re.compile(rf"(?P<source>.*?)(?::(?P<line>{_NUMBER}))?(?:\[(?P<item>{_NUMBER})\])?")

_SYNC = "DATA_LAKE_SYNC"  # no part of a run's account, and `ebingest sync` is no run
_ARRIVED = {"delivered", "duplicate"}


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of an audit file, without line breaks; a torn last one is left out.

    Raises:
        UsageError: the file is not there or can't be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line[:-1]
    except OSError as error:
        remedy = "Give the path of the one that `ingest` wrote."
        if isinstance(error, PermissionError):
            remedy = "Mend its rights, or ask as the user who ran `ingest`."
        raise UsageError(f"The audit file {path} can't be read: {error.strerror}.", remedy) from error


class Finding(Struct, frozen=True):
    """Something that is wrong with an audit file, at a line (from 1)."""

    line: int
    what: str


class RunStory(Struct):
    """A run as its lines tell it. `recount` is drawn from them, `counts` is what the run said at its end.

    `stopped` is the code of the error that ended it early. Of a replay, `arrived` are the places of records that it
    sent, or found delivered, and `failed` those of records that it did not bring to their end: several records may have
    the same place, as those of different inputs that were piped in.
    """

    run: str
    started: str = ""
    inputs: list[str] = field(default_factory=list)
    ingest_url: str = ""
    finished: str = ""
    exit_code: int | None = None
    stopped: str | None = None
    counts: dict[str, int] | None = None
    recount: dict[str, int] = field(default_factory=dict)
    in_flight: dict[str, list[str]] = field(default_factory=dict)
    strict: bool = False
    replay: bool = False
    sandbox: bool = False
    read_to_end: bool = True
    arrived: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all but where single records stand."""
        return {name: value for name, value in asdict(self).items() if name not in {"arrived", "failed"}}

    def take(self, entry: Entry) -> None:
        """Take in the next line of this run."""
        match entry:
            case entries.Started():
                self.started, self.strict, self.replay = entry.time, entry.strict, entry.replay
                self.sandbox = entry.sandbox
                self.inputs, self.ingest_url = list(entry.inputs), entry.ingest_url
            case entries.Submitted():
                self.in_flight[entry.request_id] = list(entry.places)
            case entries.Succeeded() | entries.Failed() | entries.Split():
                self.in_flight.pop(entry.request_id, None)
            case entries.Finished():
                self.finished, self.exit_code, self.counts = entry.time, entry.exit_code, asdict(entry.counts)
                self.read_to_end, self.stopped = entry.read_to_end, entry.stopped
        outcome, records = entries.became(entry)
        if outcome:
            self.recount[outcome] = self.recount.get(outcome, 0) + records
            if self.replay:
                (self.arrived if outcome in _ARRIVED else self.failed).update(entry.places)

    @property
    def is_complete(self) -> bool:
        """Whether it came to its end with all of the input read and nothing pending."""
        return self.counts is not None and not self.counts.get("pending") and self.read_to_end

    @property
    def disagrees(self) -> bool:
        """Whether the run's own account is not what its lines come to. `--strict` leaves its pending ones unlisted."""
        if self.counts is None:
            return False
        names = ("delivered", "duplicate", "rejected", "refused")
        return any(self.counts.get(name) != self.recount.get(name, 0) for name in names)


def _pass_over(_entry: Entry) -> None:
    """Nobody else reads along."""


def verify(path: Path, read: Callable[[Entry], None] = _pass_over) -> Iterator[Finding]:
    """Hold the chain of hashes, and each run's account, against the lines; gives what does not fit.

    Any line that was changed, removed, moved or put in is found by the line after it. The end of the file has no line
    after it: that its last lines were cut off can't be seen, a change in the last line only where its run's account
    no longer fits. Nor does the chain hold against somebody who rewrites the whole rest of the file.

    Args:
        path: the audit file.
        read: is told every line of a run on the way.

    Raises:
        UsageError: the file is not there or can't be read.
    """
    previous, number = CHAIN_START, 0
    known: OrderedDict[str, int] = OrderedDict()
    stories: dict[str, RunStory] = {}
    for number, line in enumerate(lines_of(path), 1):
        entry = entry_of(line)
        if entry is None:
            yield Finding(number, "this is no whole line of an audit file: it was changed, or written by another hand")
        else:
            if entry.previous != previous:
                yield Finding(number, _break(entry.previous, known, number))
            if entry.event != _SYNC:
                read(entry)
                if wrong := _account(stories, entry):
                    yield Finding(number, wrong)
        previous = line_hash(line)
        known[previous] = number
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 1))
        if size and file.read(1) != b"\n":
            yield Finding(number + 1, "half a line: the run was killed while it wrote; the next run mends it")


def _break(claimed: str, known: dict[str, int], number: int) -> str:
    if claimed in known:
        first = known[claimed] + 1
        lines = f"line {first} was" if first == number - 1 else f"lines {first} to {number - 1} were"
        if first > number - 1:
            return "the line before it was put in twice"
        return f"{lines} put in or moved here: this line follows on line {first - 1}"
    if claimed == CHAIN_START:
        return "this was the first line of a file: the lines before it were put in"
    if number == 1:
        return "this was not the first line: the lines before it were removed"
    return f"line {number - 1} was changed, or lines between it and this one were removed or moved"


def _account(stories: dict[str, RunStory], entry: Entry) -> str:
    """What is wrong with the account of a run that ends with this line, if anything."""
    story = stories.setdefault(entry.run, RunStory(entry.run))
    story.take(entry)
    if not isinstance(entry, entries.Finished):
        return ""
    del stories[entry.run]
    if not story.disagrees or entry.stopped == "storage":  # after a full disk lines are missing, and the run says why
        return ""
    return f"the account of run {entry.run} says {story.counts}, its lines come to {story.recount}"


def runs_of(path: Path) -> list[RunStory]:
    """All runs, in the order in which they began."""
    stories: dict[str, RunStory] = {}
    for line in lines_of(path):
        if (entry := entry_of(line)) and entry.event != _SYNC:
            stories.setdefault(entry.run, RunStory(entry.run)).take(entry)
    return list(stories.values())


class Question(Struct, frozen=True):
    """What to look for: all that is given must fit. `run` and `request` may be the beginning of an id."""

    run: str = ""
    interaction: str = ""
    place: str = ""
    request: str = ""

    def fits(self, entry: Entry) -> bool:
        """Whether a line speaks of what is asked for."""
        return (
            entry.run.startswith(self.run)
            and entry.request_id.startswith(self.request)
            and (not self.interaction or self.interaction in entry.interactions)
            and (not self.place or any(same_place(self.place, place) for place in entry.places))
        )


def find(path: Path, question: Question) -> Iterator[dict[str, Any]]:
    """The lines that answer a question, as they stand there, but with only those records that it asks for."""
    for line in lines_of(path):
        entry = entry_of(line)
        if entry is None or not question.fits(entry):
            continue
        told: dict[str, Any] = json.loads(line)
        if entry.records and (question.interaction or question.place):
            told["records"] = [
                record
                for record in entry.records
                if (not question.interaction or record.interaction_id == question.interaction)
                and (not question.place or same_place(question.place, record.place))
            ]
        yield told


def same_place(asked: str, place: str) -> bool:
    """Whether `place`, as the audit file writes it (`f:3`, `f:3[0]`, `f:1-100`, `f[0-99]`), is or holds `asked`."""
    if asked == place:
        return True
    wanted, span = _PLACE.fullmatch(asked), _SPAN.fullmatch(place)
    if wanted is None or span is None:
        return False
    exact = _PLACE.fullmatch(place)
    if exact and exact["line"] and exact["item"]:  # `f:3[0]`: either number may be left out of the question
        return wanted["source"] == exact["source"] and all(
            wanted[name] in {None, exact[name]} for name in ("line", "item")
        )
    for name in ("line", "item"):
        if span[name] and wanted[name] and wanted["source"] == span["source"]:
            return int(span[name]) <= int(wanted[name]) <= int(span[f"{name}_end"] or span[name])
    return False
