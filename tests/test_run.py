"""One run, called as the commands call it."""

from pathlib import Path
from typing import Any

import pytest
from conftest import Server
from msgspec.structs import replace
from support import audit_lines, lines

from eventbridge_cli.errors import StorageError
from eventbridge_cli.facts import Fact, Receipt
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import resolve
from eventbridge_cli.ledger.audit import AuditLogger
from eventbridge_cli.ledger.history import verify
from eventbridge_cli.run import Job, ingest
from eventbridge_cli.settings import load


@pytest.fixture
def job(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A thousand events for the server."""
    monkeypatch.chdir(tmp_path)
    for name, value in server.settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "events.ndjson").write_bytes(lines(1_000))
    intake = Intake(sources=tuple(resolve(["events.ndjson"])))
    return Job(settings=load(state=tmp_path / "state"), intake=intake)


def test_a_bug_does_not_take_the_account_with_it(tmp_path: Path, job: Job) -> None:
    """An error that nothing was prepared for ends the run with 70: all is accounted for, and its text is not told."""

    def observe(fact: Fact) -> None:
        if isinstance(fact, Receipt):
            raise ZeroDivisionError("customer data")

    summary = ingest(replace(job, observe=observe))
    assert (summary.exit_code, summary.stopped and summary.stopped["code"]) == (70, "bug")
    assert "customer data" not in str(summary.stopped)
    assert summary.counts["delivered"] > 0
    assert summary.counts["read"] == summary.counts["delivered"] + summary.counts["pending"]
    audit = tmp_path / "ingestion_audit.jsonl"
    assert audit_lines(audit)[-1]["event"] == "RUN_FINISHED"
    assert not list(verify(audit))


def test_an_end_that_can_not_be_written_down_is_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full when RUN_FINISHED is due: everything is delivered, and the run ends with 5 and says why."""
    write = AuditLogger.write

    def fails(self: AuditLogger, event: str, *arguments: Any, **about: Any) -> None:
        if event == "RUN_FINISHED":
            raise StorageError("The audit file can't be written: No space left on device.")
        write(self, event, *arguments, **about)

    monkeypatch.setattr(AuditLogger, "write", fails)
    summary = ingest(job)
    assert (summary.counts["delivered"], summary.exit_code) == (1_000, 5)
    assert summary.stopped is not None
    assert summary.stopped["code"] == "storage"
