"""Standard streams and output files as they come: closed, full, broken, named twice."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from support import audit_lines, clean_environment, ebingest, line, lines, scripted

TOOL = f"{shlex.quote(sys.executable)} -m eventbridge_cli"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")


def shell(command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command line as a shell runs it; `ebingest` is the tool."""
    command = command.replace("ebingest", TOOL)
    env = clean_environment(cwd, **variables)
    arguments = ["bash", "-c", command]
    done = subprocess.run(arguments, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.ndjson").write_bytes(lines(3))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("ebingest validate <&-", 0, "read"),
        ("ebingest validate a.ndjson 2>&-", 0, ""),
        pytest.param("ebingest validate missing 2>/dev/full", 2, "", marks=FULL),
        ("ebingest dedupe a.ndjson >&-", 5, "Leave it open"),
        ("ebingest validate a.ndjson >&-", 0, "valid"),
        pytest.param("ebingest dedupe a.ndjson >/dev/full", 5, "No space left on device.\nFree some space", marks=FULL),
        pytest.param("ebingest validate a.ndjson -o json >/dev/full", 5, "No space left", marks=FULL),
        pytest.param("ebingest ingest a.ndjson --sandbox -o json >/dev/full", 5, "delivered", marks=FULL),
        pytest.param("ebingest ingest a.ndjson --sandbox 2>/dev/full", 0, "", marks=FULL),
        ("ebingest validate a.ndjson --valid-out .", 3, "can't be written: Is a directory"),
        ("ebingest dedupe a.ndjson -o no/where", 3, "Make the folder"),
        ("ebingest ingest a.ndjson --sandbox --audit no/where", 3, "Make the folder"),
        ("ebingest ingest a.ndjson --sandbox --dead-letters no/where", 3, "Make the folder"),
        ("ebingest ingest a.ndjson --sandbox --dead-letters .", 3, "can't be written"),
        ("ln -s l l; ebingest validate a.ndjson --valid-out l && test -f l", 0, "valid"),
        ("ln -s l l; ebingest ingest a.ndjson --sandbox --audit l", 3, "can't be written"),
        (f"ebingest validate a.ndjson --valid-out {'x' * 300}", 3, "File name too long"),
        (f"ebingest ingest a.ndjson --sandbox --audit {'x' * 300}", 3, "File name too long"),
        (f"ebingest ingest a.ndjson --sandbox --dead-letters {'x' * 300}", 3, "File name too long"),
        pytest.param("ebingest ingest a.ndjson --sandbox --audit /dev/full", 5, "No space left", marks=FULL),
    ],
)
def test_streams_and_files_that_take_nothing(folder: Path, command: str, code: int, said: str) -> None:
    """What can't be printed is an error with a name; what nobody can read ends nothing."""
    done = shell(command, folder)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_a_closed_stream_gives_its_number_to_no_file(folder: Path) -> None:
    """With standard error closed, what is said does not end up in the audit file."""
    assert shell("ebingest ingest a.ndjson --sandbox -v 2>&- <&-", folder).returncode == 0
    assert audit_lines(folder / "ingestion_audit.jsonl")[-1]["event"] == "RUN_FINISHED"
    ebingest("audit", "verify", cwd=folder, check=[0])


def test_a_reader_that_goes_away_ends_no_run(folder: Path) -> None:
    """--verbose into `head`: the run goes on to its end, and its exit code is its own."""
    (folder / "many.ndjson").write_bytes(b"{}\n" * 2_000 + lines(10))
    done = shell("(ebingest ingest many.ndjson --sandbox -v; echo $? >code) 2>&1 | head -1", folder)
    assert done.stdout.count("\n") == 1
    assert (folder / "code").read_text().strip() == "1"
    assert audit_lines(folder / "ingestion_audit.jsonl")[-1]["counts"]["delivered"] == 10


@pytest.mark.parametrize(
    "command",
    ["doctor", "--help", "ingest --help", "audit show --help", "dedupe a.ndjson", "validate -o json bad.ndjson"],
)
def test_a_reader_that_has_had_enough(folder: Path, command: str) -> None:
    """What prints to standard output, with rich or without, ends as `head` ends other tools: 141, and no word."""
    (folder / "bad.ndjson").write_bytes(b"{}\n")
    reader = f'{shlex.quote(sys.executable)} -c \'import os; os.close(0); open("gone", "w")\''
    until_gone = "(until test -e gone; do sleep 0.01; done;"
    done = shell(f"{until_gone} ebingest {command}; echo $? >code) | {reader}", folder)
    assert (folder / "code").read_text().strip() == "141"
    assert not done.stderr


def test_a_reader_of_colours_that_goes_away_ends_no_run(folder: Path) -> None:
    """Likewise where what people read is in colour."""
    (folder / "many.ndjson").write_bytes(b"{}\n" * 2_000 + lines(10))
    command = "(ebingest ingest many.ndjson --sandbox -v; echo $? >code) 2>&1 | head -1"
    shell(command, folder, FORCE_COLOR="1")
    assert (folder / "code").read_text().strip() == "1"
    assert audit_lines(folder / "ingestion_audit.jsonl")[-1]["counts"]["delivered"] == 10


@pytest.mark.parametrize(
    "options",
    [
        ("ingest", "--summary-file", "ingestion_audit.jsonl"),
        ("ingest", "--audit", "x", "--dead-letters", "./x"),
        ("validate", "--valid-out", "x", "--invalid-out", "x"),
    ],
)
def test_no_file_has_two_purposes(folder: Path, options: tuple[str, ...]) -> None:
    """One would overwrite the other: exit 2, and nothing is written."""
    (folder / "ingestion_audit.jsonl").write_text("precious")
    assert b"at once" in ebingest(*options, "a.ndjson", cwd=folder, check=[2]).stderr
    assert (folder / "ingestion_audit.jsonl").read_text() == "precious"
    assert not (folder / "x").exists()


def test_no_letter_goes_into_an_audit_file(folder: Path) -> None:
    """That of other runs would not be whole any more, and take no further lines: exit 3, and nothing is sent."""
    ebingest("ingest", "a.ndjson", "--sandbox", cwd=folder, check=[0])
    options = ("--sandbox", "--audit", "other.jsonl", "--dead-letters", "ingestion_audit.jsonl")
    done = ebingest("ingest", *options, cwd=folder, stdin=lines(1) + b"{}\n", check=[3])
    assert b"ingestion_audit.jsonl is an audit file" in done.stderr
    ebingest("audit", "verify", cwd=folder, check=[0])


@pytest.mark.parametrize("command", ["validate --valid-out -", "validate -o json", "dedupe", "dedupe -o -"])
def test_standard_output_that_is_an_input(folder: Path, command: str) -> None:
    """It is no input of a folder or glob, and refused where it is named: the run would read what it writes itself."""
    for inputs in (".", "'*.ndjson'"):
        done = shell(f"ebingest {command} {inputs} > all.ndjson", folder)
        assert done.returncode == 0
        written = (folder / "all.ndjson").read_text()
        assert re.search(r"read\W+3\b", done.stderr + written)
    done = shell(f"ebingest {command} a.ndjson all.ndjson >> all.ndjson", folder)
    assert done.returncode == 2
    assert "all.ndjson is an input and is written by this run" in done.stderr
    assert (folder / "all.ndjson").read_text().startswith(written)
    assert shell(f"ebingest {command} - < a.ndjson > b.ndjson", folder).returncode == 0
    done = shell(f"ebingest {command} - < a.ndjson >> a.ndjson", folder)
    assert done.returncode == 2
    assert "the same file" in done.stderr


def test_a_summary_file_that_can_not_be_written_is_found_out_first(folder: Path) -> None:
    """Its folder is not there: exit 3, and nothing is sent."""
    with scripted({}) as url:
        settings = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s"}
        run = ebingest("ingest", "a.ndjson", "--summary-file", "no/s.json", cwd=folder, env=settings, check=[3])
    assert b"there is no folder no" in run.stderr
    assert not (folder / "ingestion_audit.jsonl").exists()


@FULL
def test_a_summary_file_that_takes_nothing(folder: Path) -> None:
    """The summary is printed all the same, as one document; the file is an error of its own, exit 5."""
    run = ebingest(
        "ingest", "a.ndjson", "--sandbox", "-o", "json", "--summary-file", "/dev/full", cwd=folder, check=[5]
    )
    assert json.loads(run.stdout)["counts"]["delivered"] == 3
    assert b"/dev/full can't be written: No space left" in run.stderr


@FULL
def test_a_summary_file_where_standard_output_takes_nothing(folder: Path) -> None:
    """The file has it, whatever becomes of what is printed."""
    assert shell("ebingest ingest a.ndjson --sandbox -o json --summary-file s >/dev/full", folder).returncode == 5
    assert json.loads((folder / "s").read_bytes())["counts"]["delivered"] == 3


@pytest.mark.parametrize("options", [(), ("-o", "json")])
def test_a_summary_file_that_is_standard_output(folder: Path, options: tuple[str, ...]) -> None:
    """`-` is no file in the current folder, which need not be one that can be written; one document is printed."""
    (folder / "-").mkdir()
    run = ebingest("ingest", "a.ndjson", "--sandbox", "--summary-file", "-", *options, cwd=folder, check=[0])
    assert json.loads(run.stdout)["counts"]["delivered"] == 3


def test_one_document_of_json(tmp_path: Path) -> None:
    """`validate -o json` that --max-errors stops prints one document, which says so."""
    done = ebingest("validate", "-o", "json", "--max-errors", "0", cwd=tmp_path, stdin=b"{}\n" * 3, check=[4])
    document = json.loads(done.stdout)
    assert document["stopped"]["code"] == "too_many_errors"
    assert document["counts"]["rejected"] == len(document["rejections"]) == 1


@FULL
@pytest.mark.parametrize("option", ["--valid-out", "--invalid-out"])
def test_one_document_of_json_where_a_file_takes_nothing(tmp_path: Path, option: str) -> None:
    """What was begun is brought to its end, and says why it ended."""
    data = (lines(1) + b"{}\n") * 9
    done = ebingest("validate", "-o", "json", option, "/dev/full", cwd=tmp_path, stdin=data, check=[5])
    document = json.loads(done.stdout)
    assert document["stopped"]["code"] == "storage"
    assert document["counts"]["rejected"] == len(document["rejections"]) > 0
    assert b"/dev/full can't be written" in done.stderr


@pytest.mark.parametrize("output", ["json", "github"])
@pytest.mark.parametrize("option", ["--valid-out", "--invalid-out"])
def test_standard_output_has_one_purpose(tmp_path: Path, output: str, option: str) -> None:
    """No events among the findings: exit 2, which says so; without a format, `-` is where they may go."""
    done = ebingest("validate", "-o", output, option, "-", cwd=tmp_path, stdin=lines(1) + b"{}\n", check=[2])
    assert f"Standard output is to be what -o {output} prints and the" in done.stderr.decode()
    assert (json.loads(done.stdout)["exit_code"] == 2) if output == "json" else (done.stdout == b"")
    done = ebingest("validate", option, "-", cwd=tmp_path, stdin=lines(1) + b"{}\n", check=[1])
    assert done.stdout == (lines(1) if option == "--valid-out" else b"{}\n")


def test_a_file_that_is_called_json(tmp_path: Path) -> None:
    """Only the option asks for JSON, however it is written, and only where it does not name a file."""
    for arguments in (("validate", "json"), ("dedupe", "no", "-o", "json"), ("report", "no", "--output", "json")):
        assert ebingest(*arguments, cwd=tmp_path, check=[2]).stdout == b""
    for options in (("-o", "json"), ("-ojson",), ("-qo", "json"), ("--output=json",)):
        assert json.loads(ebingest("validate", "no", *options, cwd=tmp_path, check=[2]).stdout)["exit_code"] == 2


@pytest.mark.parametrize("option", ["--dry-run", "--strict"])
def test_max_errors_holds_whatever_is_sent(tmp_path: Path, option: str) -> None:
    """Without a POST, too."""
    data = lines(5) + b"{}\n" * 300
    ebingest("ingest", "--sandbox", option, "--max-errors", "10", cwd=tmp_path, stdin=data, check=[4])
    ebingest("ingest", "--sandbox", option, "--max-errors", "300", cwd=tmp_path, stdin=data, check=[1])
    ebingest("ingest", "--sandbox", option, "--max-errors", "", cwd=tmp_path, stdin=data, check=[2])


@pytest.mark.skipif(os.name == "nt", reason="there are no named pipes of this kind on Windows")
def test_strict_without_room_for_its_copies(tmp_path: Path) -> None:
    """It says what could not be copied to where, and not that standard output can't be written."""
    (tmp_path / "big.ndjson").write_bytes(lines(2_000))
    done = shell("ulimit -f 100; cat big.ndjson | ebingest ingest - --strict --sandbox", tmp_path)
    assert done.returncode == 5
    assert "<stdin> can't be copied to" in done.stderr


def test_strict_reads_pipes_twice(tmp_path: Path) -> None:
    """A pipe that is named, as <(command) is, can be read but once: what came is sent all the same."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.ndjson").write_bytes(line(7) + b"\n")
    (tmp_path / "b.ndjson").write_bytes(lines(5))
    done = shell("cat b.ndjson >pipe & ebingest ingest a.ndjson pipe --strict --sandbox -o json; wait", tmp_path)
    assert json.loads(done.stdout)["counts"]["delivered"] == 6
    audit = audit_lines(tmp_path / "ingestion_audit.jsonl")
    assert ["a.ndjson:1", "pipe:1-5"] in [entry.get("places") for entry in audit]
