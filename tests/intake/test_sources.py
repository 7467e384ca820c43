"""What inputs name: files, folders and globs; compression told by content; damage that costs no more than it must."""

import gzip
import os
from pathlib import Path

import pytest
from packers import EVERY_PACKER, PACKERS, Pack
from stages import validate
from support import line, lines

from eventbridge_cli.errors import UsageError
from eventbridge_cli.flow import Event, RawRecord, Reason, Rejection, Stage
from eventbridge_cli.intake.read import read_records
from eventbridge_cli.intake.sources import Meter, resolve, size_of


def write(folder: Path, *names: str, data: bytes = b"{}\n") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def named(folder: Path, *inputs: str, written: tuple[str, ...] = ()) -> list[str]:
    """What `inputs` find, relative to `folder`."""
    sources = resolve([str(folder / text) for text in inputs], written=[folder / name for name in written])
    return [Path(source.name).relative_to(folder).as_posix() for source in sources]


def load(path: Path, data: bytes, meter: Meter | None = None) -> list[RawRecord | Rejection]:
    path.write_bytes(data)
    return list(read_records(resolve([str(path)]), meter=meter or Meter()))


def event_ids(records: list[RawRecord | Rejection]) -> list[str]:
    return [item.interaction_id for item in validate(iter(records)) if isinstance(item, Event)]


def ids(count: int, start: int = 0) -> list[str]:
    return [f"interaction-{number}" for number in range(start, start + count)]


def test_files_keep_their_order(tmp_path: Path) -> None:
    """Files come in the order in which they were named, whatever they are called."""
    write(tmp_path, "b.txt", "a.ndjson", "c")
    assert named(tmp_path, "c", "b.txt", "a.ndjson") == ["c", "b.txt", "a.ndjson"]


def test_a_folder_gives_its_event_files_sorted(tmp_path: Path) -> None:
    """A folder gives all files below it with a known ending, compressed ones too, sorted by path."""
    taken = ["a.ndjson", "b.jsonl.gz", "c.json", "d.ndjson.bz2", "e.json.xz", "f.jsonl.zst", "sub/deep/g.ndjson"]
    write(tmp_path, *reversed(taken), "notes.txt", "README.md", "events.csv.gz", "x.zip", "sub/h.log", "json")
    assert named(tmp_path, ".") == taken


def test_endings_in_capitals_count(tmp_path: Path) -> None:
    """A file from another system is an event file as well."""
    write(tmp_path, "A.JSONL", "B.ndjson.GZ")
    assert named(tmp_path, ".") == ["A.JSONL", "B.ndjson.GZ"]


def test_a_folder_follows_links(tmp_path: Path) -> None:
    """A linked folder gives its files, once, and one that leads back into itself no more than it has."""
    write(tmp_path, "in/a.ndjson", "elsewhere/b.ndjson")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in")
    assert named(tmp_path, "in") == ["in/a.ndjson", "in/link/b.ndjson"]
    (tmp_path / "in" / "gone.ndjson").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"gone.ndjson cannot be read: No such file"):
        named(tmp_path, "in")


@pytest.mark.parametrize("hidden", [".hidden.ndjson", "sub/.hidden.json", ".cache/a.ndjson", ".a/b/c.ndjson"])
def test_a_folder_leaves_hidden_files_out(tmp_path: Path, hidden: str) -> None:
    """Hidden files, and files in hidden folders, are not taken from a folder."""
    write(tmp_path, "a.ndjson", hidden)
    assert named(tmp_path, ".") == ["a.ndjson"]


def test_a_hidden_file_can_be_named(tmp_path: Path) -> None:
    """A hidden file that is named itself is taken."""
    write(tmp_path, ".hidden.ndjson")
    assert named(tmp_path, ".hidden.ndjson") == [".hidden.ndjson"]


def test_a_hidden_folder_can_be_named(tmp_path: Path) -> None:
    """A folder that is hidden, or stands in a hidden one, gives its files when it is named itself."""
    write(tmp_path, ".spool/today/a.ndjson")
    assert named(tmp_path, ".spool/today") == [".spool/today/a.ndjson"]
    assert named(tmp_path, ".spool") == [".spool/today/a.ndjson"]


def test_a_folder_without_events_is_an_error(tmp_path: Path) -> None:
    """A folder without any event file is a usage error that says what would be taken."""
    write(tmp_path, "notes.txt")
    with pytest.raises(UsageError, match=r"no event file") as caught:
        named(tmp_path, ".")
    assert ".ndjson" in caught.value.remedy


@pytest.mark.parametrize("text", [".", "*.ndjson"])
def test_the_runs_own_files_are_left_out(tmp_path: Path, text: str) -> None:
    """A folder or glob passes over the files which the run itself writes."""
    write(tmp_path, "a.ndjson", "dead_letters.ndjson")
    assert named(tmp_path, text, written=("dead_letters.ndjson",)) == ["a.ndjson"]


def test_an_own_file_as_input_is_an_error(tmp_path: Path) -> None:
    """A file that is named as input and written by the run is a usage error, through a link as well."""
    write(tmp_path, "a.ndjson")
    (tmp_path / "link.ndjson").symlink_to(tmp_path / "a.ndjson")
    for text in ("a.ndjson", "link.ndjson"):
        with pytest.raises(UsageError, match="written by this run"):
            named(tmp_path, text, written=("a.ndjson",))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*.ndjson", ["a.ndjson", "b.ndjson"]),
        ("?.ndjson", ["a.ndjson", "b.ndjson"]),
        ("[ac].*", ["a.ndjson", "c.json"]),
        ("**/*.json", ["c.json", "sub/d.json"]),
        ("*", ["a.ndjson", "b.ndjson", "c.json"]),
    ],
)
def test_globs(tmp_path: Path, text: str, expected: list[str]) -> None:
    """A quoted glob gives the files that match, sorted, and no folders."""
    write(tmp_path, "b.ndjson", "a.ndjson", "c.json", "sub/d.json")
    assert named(tmp_path, text) == expected


def test_a_file_whose_name_looks_like_a_glob(tmp_path: Path) -> None:
    """A file that is there is taken as it is called."""
    write(tmp_path, "a[1].ndjson", "a1.ndjson")
    assert named(tmp_path, "a[1].ndjson") == ["a[1].ndjson"]


@pytest.mark.parametrize("text", ["missing.ndjson", "*.xml", "no/such/folder/*.json"])
def test_what_is_not_there_is_an_error(tmp_path: Path, text: str) -> None:
    """A file that is missing, or a glob without a match, is a usage error that names it, before anything is read."""
    write(tmp_path, "a.ndjson")
    with pytest.raises(UsageError) as caught:
        named(tmp_path, "a.ndjson", text)
    assert text in str(caught.value)


def test_an_empty_name_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty name, as a variable that is not set leaves it, is a usage error and not the current folder."""
    write(tmp_path, "a.ndjson")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="empty name") as caught:
        resolve(["a.ndjson", ""])
    assert "variable" in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("x" * 300, "too long", id="name too long"),
        pytest.param("x" * 300 + "/*.json", "too long", id="glob too long"),
        pytest.param("x\0/*.json", "null (byte|character)", id="zero byte"),
        pytest.param("loop.ndjson", "symbolic links", id="link to itself"),
        pytest.param("l*.ndjson", "symbolic links", id="link to itself, by a glob"),
        pytest.param("dangling.ndjson", "No such file", id="link to nothing"),
        pytest.param("d*.ndjson", "No such file", id="link to nothing, by a glob"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error(tmp_path: Path, text: str, why: str) -> None:
    """A name under which nothing can be looked up is a usage error that says why."""
    (tmp_path / "loop.ndjson").symlink_to("loop.ndjson")
    (tmp_path / "dangling.ndjson").symlink_to("nowhere")
    with pytest.raises(UsageError, match=rf"cannot be read: .*{why}"):
        named(tmp_path, text)


def test_events_in_place_of_a_name_are_not_shown() -> None:
    """Where a file's content was given for its name, hardly any of it comes back in the message."""
    with pytest.raises(UsageError) as caught:
        resolve([lines(20).decode()])
    assert "interaction-" not in str(caught.value)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    """A file in a folder that can't be searched is a usage error, too, and so is a folder above it."""
    write(tmp_path, "sub/a.ndjson")
    (tmp_path / "sub").chmod(0)
    try:
        for name in ("sub/a.ndjson", "."):
            with pytest.raises(UsageError, match="cannot be read"):
                named(tmp_path, name)
    finally:
        (tmp_path / "sub").chmod(0o700)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("text", ["*/*.ndjson", "*/sub/*.ndjson", "**/*.ndjson"])
def test_a_glob_names_a_folder_without_permission(tmp_path: Path, text: str) -> None:
    """It does not pass over one that it may not look into; where it need not look for names, it may go through."""
    write(tmp_path, "open/a.ndjson", "open/sub/b.ndjson", "closed/c.ndjson", "closed/sub/d.ndjson")
    closed = tmp_path / "closed"
    try:
        closed.chmod(0)
        with pytest.raises(UsageError, match="closed cannot be read: Permission denied"):
            named(tmp_path, text)
        closed.chmod(0o100)
        assert named(tmp_path, "closed/sub/*.ndjson") == ["closed/sub/d.ndjson"]
    finally:
        closed.chmod(0o700)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_an_error(tmp_path: Path) -> None:
    """A file that can't be opened is a usage error before anything is read."""
    write(tmp_path, "a.ndjson")
    (tmp_path / "a.ndjson").chmod(0)
    with pytest.raises(UsageError, match="cannot be read"):
        named(tmp_path, "a.ndjson")


def test_standard_input() -> None:
    """`-`, or no input at all, is standard input, whose size is not known."""
    assert [source.path for source in resolve(["-"]) + resolve([])] == [None, None]
    assert size_of(resolve(["-"])) is None


def test_size(tmp_path: Path) -> None:
    """The size of all sources is the sum of their bytes on disk."""
    write(tmp_path, "a.ndjson", "b.ndjson", data=b"x" * 10)
    assert size_of(resolve([str(tmp_path)])) == 20


@EVERY_PACKER
@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz", "events.txt", "events"])
def test_compression_is_told_by_content(tmp_path: Path, pack: Pack, name: str) -> None:
    """Compression is told by the first bytes, whatever the file is called."""
    assert event_ids(load(tmp_path / name, pack(lines(50)))) == ids(50)


def test_plain_text_under_a_compressed_name(tmp_path: Path) -> None:
    """A file that is called .gz and is none is read as it is."""
    assert event_ids(load(tmp_path / "events.ndjson.gz", lines(3))) == ids(3)


@EVERY_PACKER
def test_members_in_a_row(tmp_path: Path, pack: Pack) -> None:
    """Compressed files that were joined are read to their end, even where a line runs over the seam."""
    data = lines(40)
    assert event_ids(load(tmp_path / "x", pack(data[:1001]) + pack(data[1001:2000]) + pack(data[2000:]))) == ids(40)


def test_zstd_that_was_packed_in_parallel(tmp_path: Path) -> None:
    """Before each frame pzstd puts one that is to be passed over: four bytes that tell the size of the next one."""
    pack = PACKERS["zstd"]
    frames = [pack(line(number) + b"\n") for number in range(3)]
    data = b"".join(b"\x50\x2a\x4d\x18\x04\0\0\0" + len(frame).to_bytes(4, "little") + frame for frame in frames)
    assert event_ids(load(tmp_path / "x", data)) == ids(3)


@EVERY_PACKER
def test_an_empty_compressed_file(tmp_path: Path, pack: Pack) -> None:
    """Nothing in, nothing out."""
    assert load(tmp_path / "x", pack(b"")) == []


@EVERY_PACKER
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_gives_what_can_be_read(tmp_path: Path, pack: Pack, kept: float) -> None:
    """A compressed file that is cut off gives its whole events, then one rejection as unreadable."""
    noise = b"".join(line.replace(b"voice", os.urandom(40).hex().encode()) + b"\n" for line in lines(9000).splitlines())
    packed = pack(noise)
    *before, last = load(tmp_path / "x", packed[: int(len(packed) * kept)])
    assert all(isinstance(record, RawRecord) for record in before)
    assert event_ids(before) == ids(len(before))
    assert len(before) < 9000
    assert isinstance(last, Rejection)
    assert (last.stage, last.reason) == (Stage.READ, Reason.UNREADABLE)
    assert last.problems[0].code == "truncated"
    assert last.data is None or last.data in noise
    if kept > 0.5:
        assert before


@EVERY_PACKER
@pytest.mark.parametrize("length", [6, 9])
def test_a_file_that_is_only_a_header(tmp_path: Path, pack: Pack, length: int) -> None:
    """A file that ends within the first bytes is one rejection, not a crash."""
    [only] = load(tmp_path / "x", pack(lines(5))[:length])
    assert isinstance(only, Rejection)
    assert only.reason is Reason.UNREADABLE


@pytest.mark.parametrize("pack", [PACKERS[name] for name in ("gzip", "xz", "zstd")], ids=["gzip", "xz", "zstd"])
def test_corrupt_data(tmp_path: Path, pack: Pack) -> None:
    """A flipped byte that the format's checksum finds ends in one rejection; nothing crashes."""
    packed = bytearray(pack(lines(300)))
    packed[-6] ^= 0xFF
    *_, last = load(tmp_path / "x", bytes(packed))
    assert isinstance(last, Rejection)
    assert last.reason is Reason.UNREADABLE


@EVERY_PACKER
def test_corrupt_data_anywhere(tmp_path: Path, pack: Pack) -> None:
    """Whichever byte is broken, reading ends with at most one rejection, and that is the last item."""
    packed = pack(lines(30))
    for place in range(4, len(packed), 7):
        spoilt = packed[:place] + bytes([packed[place] ^ 0x5A]) + packed[place + 1 :]
        found = load(tmp_path / "x", spoilt)
        assert not [item for item in found[:-1] if isinstance(item, Rejection) and item.reason == Reason.UNREADABLE]


@EVERY_PACKER
def test_garbage_behind_the_end(tmp_path: Path, pack: Pack) -> None:
    """Bytes behind the compressed data cost no event, and may have been some: that is one rejection."""
    *before, last = load(tmp_path / "x", pack(lines(30)) + b"garbage behind the end")
    assert event_ids(before) == ids(30)
    assert isinstance(last, Rejection)
    assert last.reason is Reason.UNREADABLE


@EVERY_PACKER
def test_a_damaged_member_does_not_look_like_the_end(tmp_path: Path, pack: Pack) -> None:
    """Of members in a row, one that can't be told as such any more is a rejection, not the end of the file."""
    *before, last = load(tmp_path / "x", pack(line(0)) + b"X" + pack(line(1))[1:] + pack(line(2)))
    assert event_ids(before) == ids(1)
    assert isinstance(last, Rejection)
    assert last.reason is Reason.UNREADABLE


@pytest.mark.parametrize("pack", [PACKERS[name] for name in ("gzip", "bzip2", "xz")], ids=["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("zeros", [4, 200_000])
def test_padding(tmp_path: Path, pack: Pack, zeros: int) -> None:
    """Zero bytes between compressed files that were joined, as xz allows them, and at the end are passed over."""
    packed = b"".join(pack(line(number) + b"\n") + bytes(zeros) for number in range(3))
    assert event_ids(load(tmp_path / "x", packed)) == ids(3)


def test_damage_before_the_first_line(tmp_path: Path) -> None:
    """A file that breaks off within its first line, which is no object, is told like any other."""
    packed = gzip.compress(os.urandom(3000).hex().encode())
    *_, last = load(tmp_path / "x", packed[:-100])
    assert isinstance(last, Rejection)
    assert last.reason is Reason.UNREADABLE


def test_a_damaged_file_leaves_the_next_source(tmp_path: Path) -> None:
    """The files after a damaged one are read all the same."""
    (tmp_path / "a.ndjson").write_bytes(gzip.compress(lines(5))[:-12])
    (tmp_path / "b.ndjson").write_bytes(lines(5))
    found = list(read_records(resolve([str(tmp_path)]), meter=Meter()))
    assert [item.origin.source.rpartition("/")[2] for item in found if isinstance(item, Rejection)] == ["a.ndjson"]
    assert [item.origin.source.rpartition("/")[2] for item in found].count("b.ndjson") == 5


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    """A file that goes away between naming and reading is one rejection, and the next one is read."""
    write(tmp_path, "a.ndjson", "b.ndjson", data=lines(1))
    sources = resolve([str(tmp_path)])
    (tmp_path / "a.ndjson").unlink()
    gone, there = read_records(sources, meter=Meter())
    assert isinstance(gone, Rejection)
    assert gone.reason is Reason.UNREADABLE
    assert isinstance(there, RawRecord)


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()], ids=["plain", *PACKERS])
@pytest.mark.parametrize("left", [0.0, 0.9])
def test_a_file_that_is_cut_short_while_it_is_read(tmp_path: Path, pack: Pack, left: float) -> None:
    """What a file has lost since it was opened is a rejection, not the end of the file; the next one is read."""
    noise = b"".join(line(number, interactionId=os.urandom(300).hex()) + b"\n" for number in range(2000))
    (tmp_path / "a.ndjson").write_bytes(pack(noise))
    write(tmp_path, "b.ndjson", data=lines(1))
    records = read_records(resolve([str(tmp_path)]), meter=Meter())
    next(records)
    os.truncate(tmp_path / "a.ndjson", int(left * (tmp_path / "a.ndjson").stat().st_size))
    *before, broken, last = records
    assert all(isinstance(record, RawRecord) for record in before)
    assert isinstance(broken, Rejection)
    assert broken.reason is Reason.UNREADABLE
    assert "shorter" in broken.problems[0].found
    assert isinstance(last, RawRecord)


def test_a_file_that_grows_while_it_is_read(tmp_path: Path) -> None:
    """What is added in time is read, too."""
    path = tmp_path / "x.ndjson"
    path.write_bytes(lines(1000))
    records = read_records(resolve([str(path)]), meter=Meter())
    next(records)
    with path.open("ab") as file:
        file.write(lines(3))
    assert len(list(records)) == 1002


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()], ids=["plain", *PACKERS])
def test_the_meter_counts_bytes_on_disk(tmp_path: Path, pack: Pack) -> None:
    """Progress is counted in bytes on disk, so that it reaches the total for a compressed file too."""
    packed = pack(lines(5000))
    meter = Meter()
    load(tmp_path / "x", packed, meter)
    assert meter.read == len(packed)
    assert size_of(resolve([str(tmp_path / "x")])) == len(packed)


def test_a_record_does_not_run_on_into_the_next_file(tmp_path: Path) -> None:
    """Each source is cut by itself: a half record at the end of one never joins the start of the next."""
    write(tmp_path, "a.ndjson", data=lines(1) + b'{"eventType":')
    write(tmp_path, "b.ndjson", data=lines(1))
    found = list(read_records(resolve([str(tmp_path)]), meter=Meter()))
    assert [(item.origin.source.rpartition("/")[2], item.origin.line) for item in found] == [
        ("a.ndjson", 1),
        ("a.ndjson", 2),
        ("b.ndjson", 1),
    ]
