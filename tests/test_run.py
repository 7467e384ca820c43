"""One run, called as the commands call it."""

from pathlib import Path

import pytest
from conftest import Server
from support import audit_lines, lines

from eventbridge_cli.facts import Fact, Receipt
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import resolve
from eventbridge_cli.ledger.history import verify
from eventbridge_cli.run import Job, ingest
from eventbridge_cli.settings import load


def test_a_bug_does_not_take_the_account_with_it(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nothing was prepared for ends the run with 70: all is accounted for, and its text is not told."""
    monkeypatch.chdir(tmp_path)
    for name, value in server.settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "events.ndjson").write_bytes(lines(1_000))

    def observe(fact: Fact) -> None:
        if isinstance(fact, Receipt):
            raise ZeroDivisionError("customer data")

    intake = Intake(sources=tuple(resolve(["events.ndjson"])))
    summary = ingest(Job(settings=load(state=tmp_path / "state"), intake=intake, observe=observe))
    assert (summary.exit_code, summary.stopped and summary.stopped["code"]) == (70, "bug")
    assert "customer data" not in str(summary.stopped)
    assert summary.counts["delivered"] > 0
    assert summary.counts["read"] == summary.counts["delivered"] + summary.counts["pending"]
    audit = tmp_path / "ingestion_audit.jsonl"
    assert audit_lines(audit)[-1]["event"] == "RUN_FINISHED"
    assert not list(verify(audit))
