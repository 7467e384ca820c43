"""`ebingest dedupe`, run as a user runs it."""

import re
import subprocess
import sys
from pathlib import Path

from support import clean_environment, ebingest, line, lines


def test_each_event_once_with_its_own_bytes(tmp_path: Path) -> None:
    """The first event with a key is written to stdout, byte for byte."""
    odd = line(7).replace(b'"number":7', b'"number": 7.10')
    run = ebingest("dedupe", cwd=tmp_path, stdin=lines(2) + odd + b"\n" + lines(2) + odd, check=[0])
    assert run.stdout == lines(2) + odd + b"\n"


def test_output_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """-o writes the file, and nothing to stdout; a folder that is not there is said, exit 5."""
    run = ebingest("dedupe", "-o", "unique.ndjson", cwd=tmp_path, stdin=lines(2) * 2, check=[0])
    assert run.stdout == b""
    assert (tmp_path / "unique.ndjson").read_bytes() == lines(2)
    assert b"can't be written" in ebingest("dedupe", "-o", "no/u", cwd=tmp_path, stdin=lines(1), check=[3]).stderr


def test_explain_names_both_places(tmp_path: Path) -> None:
    """--explain tells conflicts from copies and names where both stand."""
    (tmp_path / "a.ndjson").write_bytes(lines(2))
    (tmp_path / "b.ndjson").write_bytes(lines(1) + line(1, schemaVersion=3))
    run = ebingest("dedupe", "--explain", "a.ndjson", "b.ndjson", cwd=tmp_path, check=[0])
    assert b"duplicate: b.ndjson:1 is a copy of a.ndjson:1" in run.stderr
    assert b"conflict: b.ndjson:2 differs in content from a.ndjson:2" in run.stderr


def test_explain_only_adds_names(tmp_path: Path) -> None:
    """The same is written and counted, conflicts and unknown fields too, whether copies are named or not."""
    unknown = line(1, unknown=5)
    conflicts = [line(2, schemaVersion=3), line(0, unknown=6, schemaVersion=3)]
    spaced = line(3).replace(b": ", b":").replace(b'":', b'" : ')
    records = [line(number) for number in range(5)]
    (tmp_path / "a.ndjson").write_bytes(
        b"\n".join([*records, unknown, *conflicts, spaced, *records, line(9, unknown=7)])
    )
    plain, explained = (ebingest("dedupe", *option, "a.ndjson", cwd=tmp_path) for option in ([], ["--explain"]))
    assert plain.stdout == explained.stdout == lines(5) + line(9) + b"\n"
    told = [text for text in explained.stderr.splitlines() if text.startswith((b"duplicate:", b"conflict:"))]
    assert [text.split(b":")[0] for text in told] == [b"duplicate", b"conflict", b"conflict"] + [b"duplicate"] * 6
    assert re.search(rb"read +15 .*duplicate +9 .*unknown \(3\).*2 conflicts", plain.stderr, re.DOTALL)
    rest = [text for text in explained.stderr.splitlines() if text not in told]
    assert [text.replace(b"; --explain names them", b"") for text in plain.stderr.splitlines()] == rest


def test_key_and_missing_path(tmp_path: Path) -> None:
    """--key takes paths; an event without one is rejected by name, a path no event can have is a usage error."""
    text = line(1, attributes={"call": {"id": 5}}) + b"\n" + line(2, attributes={"call": {"id": 5}}) + b"\n" + line(3)
    run = ebingest("dedupe", "--key", "attributes.call.id", cwd=tmp_path, stdin=text, check=[1])
    assert run.stdout.count(b"\n") == 1
    assert b"attributes.call.id: found nothing" in run.stderr
    assert b"no field caller" in ebingest("dedupe", "--key", "caller", cwd=tmp_path, check=[2]).stderr


def test_windows_bound_the_memory_of_keys(tmp_path: Path) -> None:
    """--window forgets by event time, --window-size by number: an old copy then passes."""
    old, new = line(1), line(2, eventTime="2026-03-02T10:15:03Z")
    text = b"\n".join([old, new, old])
    assert ebingest("dedupe", cwd=tmp_path, stdin=text).stdout.count(b"\n") == 2
    assert ebingest("dedupe", "--window", "300", cwd=tmp_path, stdin=text).stdout.count(b"\n") == 3
    assert ebingest("dedupe", "--window-size", "1", cwd=tmp_path, stdin=text).stdout.count(b"\n") == 3


def test_a_broken_pipe_ends_it_quietly(tmp_path: Path) -> None:
    """`dedupe | head -1`: no traceback, nothing but the pipe's own exit code."""
    (tmp_path / "many.ndjson").write_bytes(lines(20_000))
    command = [sys.executable, "-m", "eventbridge_cli", "dedupe", "many.ndjson"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == line(0) + b"\n"
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(timeout=30)
    assert process.returncode == 141
