"""The fast ways through the intake come to the same end as the slow one, record by record."""

import errno
import io
import json
import os
import signal
from array import array
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stages import both_ways, checked
from support import SAMPLES, event, line

from eventbridge_cli.bulk import Checked, Lines
from eventbridge_cli.errors import StorageError, UnexpectedError
from eventbridge_cli.flow import Event, Outcome
from eventbridge_cli.intake import parts
from eventbridge_cli.intake import share as share_module
from eventbridge_cli.intake.cut import MAX_RECORD_BYTES, Cutter
from eventbridge_cli.intake.key import Key
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.share import share
from eventbridge_cli.intake.sources import DAMAGED, Meter, Source, open_source
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
            line(2, unknown={"deep": [1, "é"]}, routingMetadata={"x": 1, **event()["routingMetadata"]}),
            line(2)[:-1] + b',"unknown":1,"eventType":"b","unknown":2}',
            line(2, unknown=1).replace(b'"unknown"', b'"\\u00e9"').replace(b'"eventType"', b'"event\\u0054ype"'),
            json.dumps(event(2, unknown="a  b")).encode(),
            line(2, unknown=1, schemaVersion=9),
            line(2, unknown=1, eventTime="2016-12-31T23:59:60Z"),
            line(3).replace(b'"billing"', b"NaN"),
            line(3, attributes={"NaN": "Infinity"}),
            line(4)[:-1],
            line(4)[:-20],
            line(4).partition(b"answered")[0],
            line(5) + line(6),
            line(5) + b" " + line(6) + b" x}",
            b'{"events":[' + line(7) + b"," + line(8) + b"]}",
            b'{"events":[' + line(7),
            line(8) + b"]}",
            b'{"events":[],' + line(8)[1:],
            b'{"events":[' + line(7) + b'],"events":[' + line(8) + b"]}",
            b'{"events":[' + line(7) + b'],"x":nope}',
            line(8)[:-1] + b',"events":[1]}',
            b"[" + line(7) + b",",
            line(8) + b"]",
            b"",
            b"  " + line(1),
            line(1) + b"  ",
            line(1) + b"\r",
            b'{"a":{}}',
            b"[",
            b"[ ",
            b"{",
            b"}",
            b"\xff",
            b'{"a":"\\ud800"}',
            json.dumps(event(1), indent=1).encode(),
            json.dumps(event(2, unknown=[{}]), indent=2).encode().replace(b"\n", b"\r\n"),
            json.dumps(event(3), indent=0).encode().replace(b"\n", b"\r"),
            json.dumps(event(4, attributes={"a": [{"b": 1}, {"c": {}}]}), indent=0, separators=(" ,", " :")).encode(),
            json.dumps(event(4, attributes={"a": [{"b": 1}, {"c": {}}]}), indent=0).encode().replace(b"},", b"}"),
            json.dumps([event(5), event(6)], indent="\t", ensure_ascii=False).encode(),
        ]
    ),
)
LIMITS = st.sampled_from([MAX_RECORD_BYTES, len(line(1)) - 1, len(line(1)), len(line(1)) + 9, 2 * len(line(1))])
FILES = st.lists(LINES, max_size=25).map(b"\n".join)


ARRAYS = st.tuples(
    st.sampled_from([b"[", b"[\n", b" [ ", b'{"events":[', b'{ "events" :\n[\n']),
    st.lists(LINES, max_size=25),
    st.sampled_from([b",", b",\n", b" , ", b",\r\n  "]),
    st.sampled_from([b"]", b"\n]\n", b"]}", b",]", b""]),
).map(lambda parts: parts[0] + parts[2].join(parts[1]) + parts[3])


def of(intake: Intake) -> list[Outcome]:
    return [outcome for checked in intake.checked(keyed=True) for outcome in checked.all()]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(
        st.tuples(st.dictionaries(st.sampled_from("ab{}"), st.sampled_from([1, "}\n{", [{}], {}])), st.booleans())
    ),
    st.sampled_from([0, 1, "\t"]),
    st.sampled_from([b"\n", b"\n\n", b"\n \r\n\t", b" ", b"", b"\r\n"]),
)
def test_pretty_printed(values: list[tuple[dict[str, object], bool]], indent: int | str, between: bytes) -> None:
    """So do values that are pretty-printed, one behind the other."""
    texts = [json.dumps(event(attributes=inner, **{"x": 1} if odd else {}), indent=indent) for inner, odd in values]
    items = both_ways(b"".join([text.encode() + between for text in texts]))
    assert all(isinstance(item, Event) for item in items)
    assert len(items) == len(values)


@settings(deadline=None, max_examples=400)
@given(st.data(), st.sampled_from([0, 1, None]), st.booleans())
def test_broken_by_a_line_break(data: st.DataObject, indent: int | None, in_array: bool) -> None:  # noqa: FBT001
    """A line break within a value is no white space: what it breaks is not mended by taking it out."""
    values = {"number": 12.5e3, "text": "two  words", "list": [1, True, None], "cut": "a\\b"}
    text = json.dumps(event(attributes=values, unknown=12), indent=indent).encode()
    place = data.draw(st.integers(1, len(text) - 1))
    broken = text[:place] + data.draw(st.sampled_from([b"\n", b"\r", b"\r\n", b"\n  "])) + text[place:]
    whole = json.dumps(event(attributes=values), indent=indent).encode()
    together = [whole, broken, whole]
    both_ways(b"[" + b",\n".join(together) + b"]" if in_array else b"\n".join(together) + b"\n")


@settings(deadline=None, max_examples=400)
@given(st.one_of(FILES, ARRAYS, st.lists(st.one_of(FILES, ARRAYS), max_size=3).map(b"\n".join)), st.booleans(), LIMITS)
def test_at_a_glance_or_with_care(data: bytes, strict: bool, limit: int) -> None:  # noqa: FBT001
    """Records that are checked many at a time give the same events, keys, rejections and places as each alone."""
    both_ways(data, strict=strict, limit=limit)


@pytest.mark.parametrize("layout", [b"%b", b"[%b]", b'{"events":[%b]}'])
def test_most_records_are_known_at_a_glance(layout: bytes) -> None:
    """The fast way is taken: of good records, few are looked at with care."""
    separator = b"\n" if layout == b"%b" else b",\n"
    data = layout % separator.join(line(number) for number in range(5_000))
    validator = Validator()
    cut = Cutter("x", io.BytesIO(data).read, MAX_RECORD_BYTES, glance=validator).records()
    assert sum(not isinstance(item, Checked) for item in cut) <= 5


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.one_of(FILES, FILES, ARRAYS), min_size=1, max_size=3),
    st.sampled_from([150, 700, 5000]),
    st.integers(2, 3),
)
def test_one_process_or_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[bytes], size: int, jobs: int
) -> None:
    """Whatever --jobs is, records, places and their order are the same, wherever the parts are cut."""
    sources = []
    for number, data in enumerate(files):
        path = tmp_path / f"{number}.ndjson"
        path.write_bytes(data)
        sources.append(Source(path.name, path))
    alone = Intake(sources=tuple(sources))
    monkeypatch.setattr(parts, "PART", size)
    assert of(Intake(sources=tuple(sources), jobs=jobs, meter=Meter(10**9))) == of(alone)


@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.*json*")), ids=lambda path: path.name)
def test_the_samples(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sample gives the same in one process and in two."""
    monkeypatch.setattr(parts, "PART", 1000)
    source = (Source(path.name, path),)
    assert of(Intake(sources=source, jobs=2, meter=Meter(10**9))) == of(Intake(sources=source))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.*json*")), ids=lambda path: path.name)
def test_the_samples_at_a_glance_or_with_care(path: Path, strict: bool) -> None:  # noqa: FBT001
    """Each sample gives the same, whether its records are looked at many at a time or one by one."""
    blocks = []
    with open_source(Source(path.name, path), Meter()) as read_block, suppress(*DAMAGED):
        while block := read_block(1000):
            blocks.append(block)
    both_ways(b"".join(blocks), strict=strict)


def test_an_array_that_goes_on_in_the_next_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array between lines of NDJSON is read as one, however many parts it spans, and the lines behind it too."""
    monkeypatch.setattr(parts, "PART", 1000)
    array = b"[" + b",\n".join(line(number) for number in range(10, 40)) + b"]\n"
    before, behind = (b"".join(line(number) + b"\n" for number in some) for some in (range(10), range(40, 90)))
    path = tmp_path / "mixed.ndjson"
    path.write_bytes(before + array + behind)
    found = of(Intake(sources=(Source("x", path),), jobs=2, meter=Meter(10**9)))
    assert found == checked(path.read_bytes(), Validator(key=Key()), at_a_glance=False)
    assert len(found) == 90


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\\\n"])
def test_a_string_without_an_end_at_the_end_of_a_part(
    end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line break behind it counts, so that all lines of the next parts keep their numbers."""
    path = tmp_path / "broken.ndjson"
    path.write_bytes(line(1) + b"\n" + line(2).partition(b"conv")[0] + end + line(3) + b"\n")
    source = (Source("x", path),)
    monkeypatch.setattr(parts, "PART", len(line(1)) + 5)
    assert of(Intake(sources=source, jobs=2, meter=Meter(10**9))) == of(Intake(sources=source))


@pytest.mark.parametrize("opening", [b"[\n", b"[ \n\n", b'{"events":\n[\n'])
def test_a_list_that_opens_at_the_end_of_a_part(
    opening: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a part ends around the bracket of a list between lines, the list is read as one."""
    before = b"".join(line(number) + b"\n" for number in range(3))
    closing = b"\n]}\n" if b"events" in opening else b"\n]\n"
    path = tmp_path / "mixed.ndjson"
    path.write_bytes(before + opening + b",\n".join(map(line, range(3, 6))) + closing + line(6) + b"\n")
    source = (Source("x", path),)
    assert len(of(Intake(sources=source))) == 7
    for size in range(len(before) - 1, len(before + opening) + 2):
        monkeypatch.setattr(parts, "PART", size)
        assert of(Intake(sources=source, jobs=2, meter=Meter(10**9))) == of(Intake(sources=source))


def test_a_killed_process_is_said(tmp_path: Path) -> None:
    """If a process is killed, the run ends with what to do, and does not wait for it."""

    class Killed(Validator):
        def lines(self, lines: Lines) -> Checked:
            os.kill(os.getpid(), signal.SIGKILL)
            raise AssertionError

    path = tmp_path / "x.ndjson"
    path.write_bytes(line(1) + b"\n")
    with pytest.raises(StorageError, match="memory") as caught:
        list(share([Source("x", path)], Killed(), 2, meter=Meter()))
    assert "--jobs" in caught.value.remedy


def test_that_there_can_be_no_more_processes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a container has a limit of processes, that is what ends the run, and no bug."""

    def fork() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    path = tmp_path / "x.ndjson"
    path.write_bytes(line(1) + b"\n")
    monkeypatch.setattr(os, "fork", fork)
    with pytest.raises(StorageError, match="temporarily unavailable") as caught:
        list(share([Source("x", path)], Validator(), 2, meter=Meter()))
    assert "--jobs 1" in caught.value.remedy


def test_a_bug_in_another_process_is_said_without_data(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What nothing was prepared for ends the run as a bug, with its place and without its text."""

    class Odd(Validator):
        def lines(self, lines: Lines) -> Checked:
            raise ValueError(f"customer data: {lines.records[0]!r}")

    path = tmp_path / "x.ndjson"
    path.write_bytes(line(1) + b"\n")
    source = Source("x", path)
    with pytest.raises(UnexpectedError, match=r"ValueError at test_share\.py:[0-9]+") as caught:
        list(share([source], Odd(), 2, meter=Meter()))
    assert caught.value.exit_code == 70
    assert "interaction" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are not what they were when they were checked end the run, and so does a file that is gone."""
    monkeypatch.setattr(parts, "PART", 1000)
    path = tmp_path / "x.ndjson"
    path.write_bytes(b"".join(line(number) + b"\n" for number in range(1_000)))
    found = share([Source("x", path)], Validator(key=Key()), 2, meter=Meter())
    first = next(found)
    with path.open("r+b") as file:  # its length stays, or the other processes may see to it first
        file.write(b"\n" * path.stat().st_size)
    with pytest.raises(StorageError, match="changed"):
        first.bodies(first.size)
    path.unlink()
    with pytest.raises(StorageError, match="can't be read any more"):
        list(found)


@pytest.mark.parametrize("left", [0, 500, 4000])
def test_a_file_that_is_cut_short_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """Parts that are no longer there end the run: they are no end of the file."""
    monkeypatch.setattr(parts, "PART", 1000)
    path = tmp_path / "x.ndjson"
    path.write_bytes(b"".join(line(number) + b"\n" for number in range(100)))
    divided = parts.divide([Source("x", path)])
    os.truncate(path, left)
    monkeypatch.setattr(share_module, "divide", lambda _: divided)
    with pytest.raises(StorageError, match="changed"):
        list(share([Source("x", path)], Validator(key=Key()), 2, meter=Meter()))


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([b"{}", b'{"a":1}', b'{"b":"xyz"}']), min_size=1, max_size=8), st.data())
def test_lines_that_are_left_in_their_file(tmp_path: Path, records: list[bytes], data: st.DataObject) -> None:
    """One by one, and written as they stand, whatever ends them and whether or not anything ends the last one."""
    ends = [data.draw(st.sampled_from([b"\n", b"\n", b"\r\n"])) for _ in records]
    if data.draw(st.booleans()):
        ends[-1] = b""
    text = b"".join(record + end for record, end in zip(records, ends, strict=True))
    path = tmp_path / "lines"
    path.write_bytes(b"before\n" + text)
    lengths = array("L", map(len, records)) if data.draw(st.booleans()) else None
    lines = parts.LinesInFile(Source("lines", path), 7, 7 + len(text), len(records), lengths)
    assert list(lines) == [lines[index] for index in range(len(lines))] == records
    start = data.draw(st.integers(0, len(records)))
    stop = data.draw(st.integers(start, len(records)))
    assert lines.written(start, stop) == b"".join(record + b"\n" for record in records[start:stop])


def test_lines_that_are_others_by_now(tmp_path: Path) -> None:
    """As many lines as before, of other lengths, are not taken for lines that end in CR and LF."""
    path = tmp_path / "lines"
    path.write_bytes(b'{"a":1}\n{}\n')
    lines = parts.LinesInFile(Source("lines", path), 0, 11, 2, array("L", [2, 2]))
    with pytest.raises(StorageError, match="changed"):
        lines.written(0, 2)
