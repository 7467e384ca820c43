"""The fast ways through the intake come to the same end as the slow one, record by record."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stages import records
from support import SAMPLES, event, line

from eventbridge_cli.errors import StorageError
from eventbridge_cli.flow import Checked, Lines, Outcome
from eventbridge_cli.intake import parts
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Cutter
from eventbridge_cli.intake.key import Key
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import share
from eventbridge_cli.intake.sources import Meter, Source
from eventbridge_cli.intake.validate import Validator

LINES = st.one_of(
    st.integers(0, 9).map(line),
    st.sampled_from(
        [
            line(1, eventTime="2024-02-29T12:00:00Z"),
            line(1, eventTime="2026-03-02 09:15"),
            line(1, eventTime="2026-02-30T09:15:00Z"),
            line(1, schemaVersion=9),
            line(2, unknown=1),
            line(3).replace(b'"billing"', b"NaN"),
            line(3, attributes={"NaN": "Infinity"}),
            line(4)[:-1],
            line(4)[:-20],
            line(5) + line(6),
            line(5) + b" " + line(6) + b" x}",
            b'{"events":[' + line(7) + b"," + line(8) + b"]}",
            b'{"events":[' + line(7),
            line(8) + b"]}",
            b"[" + line(7) + b",",
            line(8) + b"]",
            b"",
            b"  " + line(1),
            line(1) + b"  ",
            line(1) + b"\r",
            b'{"a":{}}',
            b"{",
            b"}",
            b"\xff",
            b'{"a":"\\ud800"}',
            json.dumps(event(1), indent=1).encode(),
        ]
    ),
)
FILES = st.lists(LINES, max_size=25).map(b"\n".join)


def slowly(data: bytes, *, strict: bool) -> list[Outcome]:
    """Record by record, each for itself."""
    blocks = [b"", data]
    cut = Cutter("x", lambda _: blocks.pop() if blocks else b"", MAX_RECORD_BYTES).records()
    validator = Validator(strict=strict, key=Key())
    return [outcome for record in records(cut, MAX_RECORD_BYTES) for outcome in validator.check([record]).all()]


def of(intake: Intake) -> list[Outcome]:
    return [outcome for checked in intake.checked(keyed=True) for outcome in checked.all()]


@settings(deadline=None, max_examples=300)
@given(data=FILES, strict=st.booleans())
def test_many_at_a_time_or_one_by_one(data: bytes, *, strict: bool) -> None:
    """Lines that are checked together give the same events, keys, rejections and places as each line alone."""
    blocks = [b"", data]
    cut = Cutter("x", lambda _: blocks.pop() if blocks else b"", MAX_RECORD_BYTES).records()
    validator = Validator(strict=strict, key=Key())
    batches = (validator.check(item if isinstance(item, Lines) else [item]) for item in cut)
    assert [outcome for checked in batches for outcome in checked.all()] == slowly(data, strict=strict)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FILES, min_size=1, max_size=3), st.sampled_from([150, 700, 5000]), st.integers(2, 3))
def test_one_process_or_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[bytes], block: int, jobs: int
) -> None:
    """Whatever --jobs is, records, places and their order are the same, wherever the parts are cut."""
    sources = []
    for number, data in enumerate(files):
        path = tmp_path / f"{number}.ndjson"
        path.write_bytes(data)
        sources.append(Source(path.name, path))
    alone = Intake(sources=tuple(sources))
    monkeypatch.setattr(parts, "BLOCK", block)
    assert of(Intake(sources=tuple(sources), jobs=jobs, meter=Meter(None))) == of(alone)


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.*json*")), ids=lambda path: path.name)
def test_the_samples(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample gives the same in one process and in two."""
    monkeypatch.setattr(parts, "BLOCK", 1000)
    source = (Source(path.name, path),)
    assert of(Intake(sources=source, jobs=2, meter=Meter(None))) == of(Intake(sources=source))


def test_an_array_that_goes_on_in_the_next_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array between lines of NDJSON is read as one, however many parts it spans, and the lines behind it too."""
    monkeypatch.setattr(parts, "BLOCK", 1000)
    array = b"[" + b",\n".join(line(number) for number in range(10, 40)) + b"]\n"
    before, behind = (b"".join(line(number) + b"\n" for number in some) for some in (range(10), range(40, 90)))
    path = tmp_path / "mixed.ndjson"
    path.write_bytes(before + array + behind)
    found = of(Intake(sources=(Source("x", path),), jobs=2, meter=Meter(None)))
    assert found == slowly(path.read_bytes(), strict=False)
    assert len(found) == 90


def test_a_killed_process_is_said() -> None:
    """If a process is killed, the run ends with what to do, and does not wait for it."""

    class Killed(Validator):
        def check(self, batch: object) -> Checked:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

    with pytest.raises(StorageError, match="memory") as caught:
        list(share(Killed(), iter([Lines("x", 1, line(1))]), 2))
    assert "--jobs" in caught.value.remedy


def test_results_do_not_wait_for_the_next_batch() -> None:
    """What is read is given on at once, even if the next line is long in coming."""
    more = threading.Event()

    def slow() -> Iterator[Lines]:
        yield Lines("x", 1, line(1))
        more.wait()
        yield Lines("x", 2, line(2))

    results = share(Validator(), slow(), 2)
    assert next(results).size == 1
    more.set()
    assert [checked.size for checked in results] == [1]


def test_what_reading_raises_comes_through() -> None:
    """An error of the reader ends the run as it would in one process."""

    def broken() -> Iterator[Lines]:
        yield Lines("x", 1, line(1))
        raise StorageError("the disk is gone", "buy another")

    with pytest.raises(StorageError, match="disk"):
        list(share(Validator(), broken(), 2))
