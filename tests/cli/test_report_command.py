"""`ebingest report`, on the files of real runs: what the page says is what happened."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict
from support import clean_environment, ebingest, line, lines, scripted

from eventbridge_cli.ledger.timeline import timeline
from eventbridge_cli.report.page import render
from eventbridge_cli.wording import share

FILE = "ingestion_audit.jsonl"
OUTCOMES = ("delivered", "duplicate", "rejected", "refused", "pending")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m\ud800$x^2$"
NOT_WRITTEN = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, what is read in each article, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.counts: dict[str, dict[str, int]] = {}
        self._open: list[str] = []
        self._run = ""
        self._count = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        self.tags.append((tag, about))
        if tag not in NOT_WRITTEN:
            self._open.append(tag)
        self._run = about.get("data-run", self._run)
        self._count = about.get("data-count", "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "
        if self._count:
            self.counts.setdefault(self._run, {})[self._count] = int(data.replace(",", ""))
            self._count = ""


def faulty_run(folder: Path, name: str = "calls.ndjson") -> dict[str, Any]:
    """A run over bad records and copies, against a platform that fails in several ways. Gives its summary."""
    broken = [b"nonsense", line(90, eventTime="yesterday"), line(91, schemaVersion="2"), line(92)[:40]]
    (folder / name).write_bytes(lines(60) + b"\n".join([*broken, line(3), line(4)]) + b"\n")
    script = {"answers": [{}, {"status": 503}, {"cut": True}, {"status": 500}], "poison": "interaction-47"}
    with scripted(script) as url:
        settings = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "someone", "GENESYS_CLIENT_SECRET": "s3cr3t"}
        run = ebingest("ingest", name, "--chunk-events", "10", "-o", "json", cwd=folder, env=settings, check=[1])
    summary: dict[str, Any] = json.loads(run.stdout)
    return summary


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder of a faulty run, and its summary."""
    folder = tmp_path_factory.mktemp("recorded")
    return folder, faulty_run(folder)


@pytest.fixture
def folder(recorded: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A folder with the audit file of a faulty run."""
    (tmp_path / FILE).write_bytes((recorded[0] / FILE).read_bytes())
    return tmp_path


def page(folder: Path, *arguments: str, check: int = 0) -> Page:
    """The page that the command makes."""
    run = ebingest("report", *arguments, cwd=folder, check=[check])
    assert b"written to report.html" in run.stderr
    assert run.stdout == b""
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_says_what_the_summary_says(recorded: tuple[Path, dict[str, Any]], folder: Path) -> None:
    """The parts of the bar are the account of the run, and come to what was read; so are the key figures."""
    summary = recorded[1]
    assert summary["counts"]["refused"] == 1
    assert summary["retries"] >= 3
    found = page(folder)
    [counts] = found.counts.values()
    assert counts == summary["counts"]
    assert sum(counts[outcome] for outcome in OUTCOMES) == counts["read"] == 66
    text = " ".join(found.text.split())
    for figure in (
        f"requests {summary['requests']} ",
        f"retries {summary['retries']} ",
        f"split requests {summary['splits']} ",
        "exit 1",
        "rejected schema violation: bad time eventTime 1 calls.ndjson:62",
        "refused HTTP 400 1 calls.ndjson:48",
        "1 HTTP 503",
        "1 connection lost",
        "2 in the input",
        "All times are UTC",
    ):
        assert figure in text
    bar = next(about["aria-label"] for tag, about in found.tags if tag == "svg")
    assert bar == "Of 66 records: " + ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES)


def test_a_hundred_per_cent_is_all_of_it(tmp_path: Path) -> None:
    """One bad record among 2,001: neither all nor none, in the summary and on the page."""
    with scripted({}) as url:
        env = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "a", "GENESYS_CLIENT_SECRET": "b"}
        run = ebingest("ingest", "-", cwd=tmp_path, env=env, stdin=lines(2000) + b"nonsense", check=[1])
    told = " ".join(run.stderr.decode().split())
    assert "delivered 2,000 > 99.9 %" in told
    assert "rejected 1 < 0.1 %" in told
    shown = " ".join(page(tmp_path).text.split())
    assert "delivered 2,000 > 99.9 %" in shown
    assert "rejected 1 < 0.1 %" in shown


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [
        (0, 0, ""),
        (0, 9, ""),
        (1, 1000, "0.1 %"),
        (1, 1001, "< 0.1 %"),
        (1, 3, "33.3 %"),
        (999, 1000, "99.9 %"),
        (1000, 1001, "> 99.9 %"),
        (7, 7, "100.0 %"),
    ],
)
def test_shares(part: int, whole: int, shown: str) -> None:
    """Whatever is rounded, none and all are told apart from nearly none and nearly all."""
    assert share(part, whole) == shown


def test_lines_recounted_are_what_the_run_said(recorded: tuple[Path, dict[str, Any]]) -> None:
    """Requests, retries, bytes, splits, time on the way and every count, drawn from the lines, fit the summary."""
    folder, summary = recorded
    [run] = timeline(folder / FILE).runs.values()
    assert run.course is not None
    assert run.requests.answered == summary["requests"]
    assert run.requests.retried == run.course.retries.total() == summary["retries"]
    assert run.requests.bytes_sent == summary["bytes_sent"]
    assert run.splits == summary["splits"]
    assert run.course.busy.seconds == pytest.approx(summary["busy_seconds"], abs=0.2)
    assert sum(bucket.delivered for bucket in run.course.buckets) == summary["counts"]["delivered"]
    whole = asdict(run.counts)
    run.finished = None
    assert asdict(run.counts) == whole == summary["counts"]


def test_the_page_stands_alone(folder: Path) -> None:
    """No script, nothing that is fetched; ids are unique, and every reference is to one of them."""
    found = page(folder)
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "link", "img", "iframe", "object", "base", "image"}
    ids = [about["id"] for _, about in found.tags if "id" in about]
    assert len(ids) == len(set(ids))
    for _, about in found.tags:
        for name, value in about.items():
            assert not name.startswith("on")
            for reference in re.findall(r"url\((.*?)\)", value) + ([value] if name in {"href", "src"} else []):
                assert reference.strip("#'\"") in ids
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w.]+", text)) <= {"http://www.w3.org", "http://127.0.0.1"}
    assert "#0a0b" not in text  # a colour that was not given to the palette
    assert set(re.findall(r"var\((--[\w-]+)", text)) - {"--tone"} <= set(re.findall(r"(--[\w-]+):", text))


def test_every_chart_has_its_figures_in_words(folder: Path) -> None:
    """Each drawing is an image with a label and a title; bar, throughput, latency, pauses, retries, histogram."""
    found = page(folder)
    drawings = [about for tag, about in found.tags if tag == "svg"]
    assert len(drawings) == 6
    assert all(about["role"] == "img" and re.search(r"\d", about["aria-label"]) for about in drawings)
    assert sum(tag == "title" for tag, _ in found.tags) == 7


def test_the_same_file_gives_the_same_page(folder: Path) -> None:
    """Byte for byte, to a file or to stdout."""
    page(folder)
    first = (folder / "report.html").read_bytes()
    assert ebingest("report", FILE, "-o", "-", cwd=folder, check=[0]).stdout == first


def test_hostile_names_are_text(tmp_path: Path) -> None:
    """Whatever is in the data is shown as text: no tag, no control character, no formula, and no crash."""
    name = "<script>alert(1)<b>$\\frac.ndjson"
    faulty_run(tmp_path, name)
    forged: list[dict[str, Any]] = [
        {"event": "INGESTION_REJECTED", "source": HOSTILE, "line": 1, "reason": HOSTILE,
         "problems": [{"code": HOSTILE, "path": HOSTILE}]},
        {"event": "BATCH_RETRIED", "request_id": HOSTILE, "number": 1, "outcome": HOSTILE, "seconds": 0, "delay": 0},
        {"event": "INGESTION_FAILED", "request_id": HOSTILE, "outcome": "pending", "attempts": 1, "status": None,
         "cause": HOSTILE, "records": [[HOSTILE, HOSTILE, HOSTILE]]},
        {"event": "RUN_STARTED", "version": HOSTILE, "inputs": [HOSTILE], "ingest_url": HOSTILE},
    ]  # fmt: skip
    real = json.loads((tmp_path / FILE).read_bytes().splitlines()[-2])
    with (tmp_path / FILE).open("ab") as file:
        for run in (real["run"], HOSTILE):
            for fields in forged:
                entry = {"time": real["time"], "run": run, "previous": "", **fields}
                file.write(json.dumps(entry).encode() + b"\n")
    found = page(tmp_path)
    assert not {"script", "img", "b"} & {tag for tag, _ in found.tags}
    assert not {"\u202e", "\x1b"} & set(found.text)
    for shown in ("<script>alert(1)</script>", "\\u202e\\x1b[31m\\ud800$x^2$", name):
        assert shown in found.text


def test_a_run_that_was_killed(recorded: tuple[Path, dict[str, Any]], folder: Path) -> None:
    """Without its last lines a run is recounted, said to be incomplete, and its requests in flight are pending."""
    whole = (folder / FILE).read_bytes().splitlines(keepends=True)
    submitted = max(number for number, text in enumerate(whole) if b"BATCH_SUBMITTED" in text)
    events = json.loads(whole[submitted])["events"]
    (folder / FILE).write_bytes(b"".join(whole[: submitted + 1]))
    found = page(folder)
    [counts] = found.counts.values()
    assert "This account is incomplete" in found.text
    assert "without an outcome on record" in found.text
    assert "unfinished" in found.text
    assert counts["pending"] >= events
    assert sum(counts[outcome] for outcome in OUTCOMES) == counts["read"] <= recorded[1]["counts"]["read"]


def test_many_runs(folder: Path) -> None:
    """All are in the overview, the newest first and linked to its section; --run picks one; an unknown one is said."""
    before = json.loads((folder / FILE).read_bytes().splitlines()[0])["run"]
    with scripted({}) as url:
        variables = {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "a", "GENESYS_CLIENT_SECRET": "b"}
        ebingest("ingest", "-", cwd=folder, env=variables, stdin=lines(5), check=[0])
    found = page(folder)
    assert len(found.counts) == 2
    newest, oldest = found.counts
    assert oldest == before
    assert found.counts[newest]["delivered"] == 5
    targets = {about["href"] for tag, about in found.tags if tag == "a" and about["href"] != "#overview"}
    assert targets == {"#run-1", "#run-2"}
    one = page(folder, "--run", newest[:20])
    assert list(one.counts) == [newest]
    assert "Overview" not in one.text
    (folder / "report.html").unlink()
    assert b"audit show" in ebingest("report", "--run", "nobody", cwd=folder, check=[2]).stderr
    assert not (folder / "report.html").exists()


def test_what_to_type_names_the_file(folder: Path) -> None:
    """Whatever the page leaves out, the command that it gives asks this very file."""
    [run, *_] = [json.loads(text)["run"] for text in (folder / FILE).read_bytes().splitlines()]
    forged = {"event": "INGESTION_REJECTED", "time": "2026-01-01T00:00:00Z", "previous": "", "source": "a", "line": 1}
    with (folder / "many runs.jsonl").open("wb") as file:
        file.write((folder / FILE).read_bytes())
        for number in range(60):
            entry = forged | {"run": run if number < 30 else f"run-{number}", "reason": f"reason-{number}"}
            file.write(json.dumps(entry | {"problems": [{"code": f"code-{number}", "path": ""}]}).encode() + b"\n")
    text = " ".join(page(folder, "many runs.jsonl").text.split())
    assert "ebingest report 'many runs.jsonl' --run ID" in text
    assert "ebingest audit verify 'many runs.jsonl'" in text
    text = " ".join(page(folder, "many runs.jsonl", "--run", run).text.split())
    assert f"ebingest audit show 'many runs.jsonl' --run {run}" in text
    unknown = ebingest("report", "many runs.jsonl", "--run", "nobody", cwd=folder, check=[2])
    assert b"ebingest audit show 'many runs.jsonl'" in unknown.stderr


def test_a_file_without_runs(tmp_path: Path) -> None:
    """The page says so, and the exit code as well; a file that is not there is a usage error."""
    assert b"nothing.jsonl" in ebingest("report", "nothing.jsonl", cwd=tmp_path, check=[2]).stderr
    (tmp_path / FILE).touch()
    assert "No run is on record" in page(tmp_path, check=1).text


def test_damaged_lines_are_named(folder: Path) -> None:
    """Lines that were changed, forged or torn are named with their number; the rest is shown all the same."""
    whole = (folder / FILE).read_bytes().splitlines(keepends=True)
    forged = b'{"time":"2026-01-01T00:00:00Z","run":"x","event":"INGESTION_SUCCEEDED","previous":"p","records":7}\n'
    (folder / FILE).write_bytes(b"".join([*whole[:3], b"\xff\xfe\n", forged, *whole[3:], b'{"half']))
    found = page(folder)
    assert len(found.counts) == 1
    for place in (f"{FILE}:4 ", f"{FILE}:5 ", f"{FILE}:{len(whole) + 3} half a line"):
        assert place in " ".join(found.text.split())
    assert "The audit file is not whole" in found.text


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder in which nobody can make one")
def test_a_home_that_is_not_there(folder: Path) -> None:
    """Nothing is said of a cache that can't be kept, as for the users of services."""
    done = ebingest("report", cwd=folder, env={"HOME": "/proc/nobody"}, check=[0])
    assert done.stderr.decode().splitlines() == ["Report of 1 run written to report.html."]


def test_the_audit_file_is_never_written_over(folder: Path) -> None:
    """A page can't go where the audit file is."""
    before = (folder / FILE).read_bytes()
    assert b"itself" in ebingest("report", "-o", FILE, cwd=folder, check=[2]).stderr
    assert (folder / FILE).read_bytes() == before


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_the_extra(folder: Path, missing: str) -> None:
    """Exit 3, and how to install what is missing."""
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.argv = ['ebingest', 'report']\n"
        "from eventbridge_cli.__main__ import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=clean_environment(folder), capture_output=True, check=False
    )
    assert run.returncode == 3
    assert missing.encode() in run.stderr
    assert b"pip install 'ebingest[report]'" in run.stderr


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_forged_field_is_a_crash(folder: Path, data: st.DataObject) -> None:
    """Whatever stands in whichever fields of whichever lines: there is a page, with a section for each run."""
    whole = (folder / FILE).read_bytes().splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        entry = json.loads(whole[at])
        entry[data.draw(st.sampled_from(sorted(entry)))] = data.draw(JSON)
        whole[at] = json.dumps(entry).encode()
    (folder / "forged.jsonl").write_bytes(b"\n".join(whole) + b"\n")
    found = timeline(folder / "forged.jsonl")
    text = render(found).encode().decode()
    assert len(Page(text).counts) == len(found.runs)
