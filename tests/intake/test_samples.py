"""The samples are test cases: a file dropped into `sample_events/invalid/` is one more, told by its name."""

from pathlib import Path

import pytest
from support import SAMPLES

from eventbridge_cli.flow import Duplicate, Event, Rejection
from eventbridge_cli.intake.pipeline import Intake
from eventbridge_cli.intake.sources import resolve

VALID = sorted(SAMPLES.glob("interactions.*"))
INVALID = sorted((SAMPLES / "invalid").iterdir())


def intake(path: Path, *, strict: bool) -> Intake:
    return Intake(sources=tuple(resolve([str(path)])), strict=strict)


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.name)
def test_valid_samples_are_valid(path: Path) -> None:
    """Every record of a valid sample passes, under --strict as well."""
    assert all(isinstance(item, Event) for item in intake(path, strict=True).events())


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.name)
def test_invalid_samples_fail_for_the_reason_in_their_name(path: Path) -> None:
    """`<reason>.<code>[.strict].<ending>`: each record is rejected for that reason alone."""
    reason, code, *endings = path.name.split(".")
    strict = "strict" in endings
    items = list(intake(path, strict=strict).events())
    if reason == "unreadable":  # what came before the damage is taken
        *before, last = items
        assert before
        assert all(isinstance(item, Event) for item in before)
        items = [last]
    assert items
    for item in items:
        assert isinstance(item, Rejection)
        assert item.reason == reason
        if reason == "schema_violation":
            assert {problem.code for problem in item.problems} == {code}
    if strict:
        assert all(isinstance(item, Event) for item in intake(path, strict=False).events())


def test_the_sample_of_the_first_command() -> None:
    """interactions.ndjson has some hundreds of events and a few true duplicates, no conflicts."""
    batches = intake(SAMPLES / "interactions.ndjson", strict=False).unique()
    items = [item for checked in batches for item in checked.all()]
    duplicates = [item for item in items if isinstance(item, Duplicate)]
    assert len(items) == 360
    assert len(duplicates) == 8
    assert not any(duplicate.conflict for duplicate in duplicates)
