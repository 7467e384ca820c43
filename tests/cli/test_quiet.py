"""--quiet says nothing but errors: a line for each reason why the exit code is not 0, and else nothing."""

import json
from pathlib import Path

import pytest
from lake_runs import WEBHOOK, receiver
from support import ebingest, lines, scripted

from eventbridge_cli.sandbox.process import SandboxProcess

AT_ONCE = ("--max-attempts", "1")


def said(
    folder: Path, *arguments: str | Path, code: int, stdin: bytes = b"", env: dict[str, str] | None = None
) -> list[str]:
    run = ebingest(*arguments, "-q", cwd=folder, stdin=stdin, env=env, check=[code])
    assert run.stdout == b""
    return run.stderr.decode().splitlines()


def platform(url: str) -> dict[str, str]:
    return {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "secret"}


def test_nothing_is_said_of_success(tmp_path: Path) -> None:
    """Exit 0, although copies were left out."""
    assert not said(tmp_path, "ingest", "--sandbox", code=0, stdin=lines(3) * 2)


def test_what_is_pending_and_what_is_bad(tmp_path: Path) -> None:
    """Exit 5: how many, why, where the bad ones are kept, and what to do about each."""
    with scripted({"always": {"status": 503}}) as url:
        pending, bad = said(tmp_path, "ingest", *AT_ONCE, code=5, stdin=lines(3) + b"{}\nnonsense\n", env=platform(url))
    assert pending.startswith("Error: 3 pending: ")
    assert "503" in pending
    assert pending.endswith("Next: run the same command again: it sends what is pending, and nothing twice")
    assert bad.startswith("Error: 2 rejected, kept in dead_letters.ndjson. Next: mend the bad records, then: ")
    assert bad.endswith("ebingest replay dead_letters.ndjson")


def test_what_no_letter_holds(tmp_path: Path) -> None:
    """A record that is too long is to be mended where it was read: there is nothing of it to send again."""
    long = b'{"x":"%b"}\n' % (b"x" * 200)
    options = ("ingest", "--sandbox", "--max-record-bytes", "100")
    in_the_input = "over --max-record-bytes in the input, since no dead letter holds such a one, then run the same"
    (told,) = said(tmp_path, *options, code=1, stdin=long * 2)
    assert f"Next: mend the 2 records {in_the_input}" in told
    assert "replay" not in told
    (told,) = said(tmp_path, *options, code=1, stdin=long + b"{}\n")
    assert "ebingest replay dead_letters.ndjson; mend the 1 record over" in told


def test_what_is_refused(tmp_path: Path) -> None:
    """Exit 1, of `ingest` and of `replay`, which keeps no letters of its own."""
    with SandboxProcess("--fault", "refused:1") as sandbox:
        env = platform(sandbox.url) | {
            "GENESYS_CLIENT_ID": sandbox.client_id,
            "GENESYS_CLIENT_SECRET": sandbox.client_secret,
        }
        [first] = said(tmp_path, "ingest", code=1, stdin=lines(1), env=env)
        [again] = said(tmp_path, "replay", "dead_letters.ndjson", code=1, env=env)
    assert first.startswith("Error: 1 refused, kept in dead_letters.ndjson. ")
    assert again == "Error: 1 refused. Next: mend the bad records, then: replay the letters again"


def test_what_strict_held_back(tmp_path: Path) -> None:
    """Exit 1: nothing was sent, and why."""
    [line] = said(tmp_path, "ingest", "--sandbox", "--strict", code=1, stdin=lines(1) + b"{}\n{}\n")
    assert line.startswith("Error: nothing was sent, 2 rejected. Next: mend the 2 bad records in the input, or run")


def test_what_ended_the_run(tmp_path: Path) -> None:
    """Exit 4: in the error's own words, in a line."""
    ended, bad = said(tmp_path, "ingest", "--sandbox", "--max-errors", "0", code=4, stdin=b"{}\n")
    assert ended.startswith("Error: 1 of 1 records are bad, more than --max-errors allows. Mend them")
    assert bad.startswith("Error: 1 rejected")


@pytest.mark.parametrize(("required", "code"), [("--sync-required", 5), ("--no-sync-required", 0)])
def test_what_the_lake_lacks(tmp_path: Path, required: str, code: int) -> None:
    """It is told where it is why the run ends with 5."""
    with receiver({}, {"silent": True}) as url:
        target = ("--sync", url, "--sync-grace", "0", required)
        found = said(tmp_path, "ingest", "--sandbox", *target, code=code, stdin=lines(3), env=WEBHOOK)
    assert [line.startswith(f"Error: {url}  0 handed over, 1 pending. ") for line in found] == [True] * (code == 5)


def test_the_summary_says_the_same(tmp_path: Path) -> None:
    """What --quiet leaves out is in the JSON of the same run."""
    run = ebingest("ingest", "--sandbox", "-q", "-o", "json", cwd=tmp_path, stdin=b"{}\n", check=[1])
    assert run.stderr.startswith(b"Error: 1 rejected")
    assert json.loads(run.stdout)["counts"]["rejected"] == 1
