"""White space without an end: it takes no memory, and moves no place; within the limit it spoils no record."""

import io
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest

from eventbridge_cli.bulk import Checked
from eventbridge_cli.flow import Origin, RawRecord, Reason, Rejection
from eventbridge_cli.intake.cut import Cutter

LIMIT = 100_000
BLOCK = 50_000
MANY = 160 * BLOCK

Found = tuple[Origin, Reason | None]


def blocks(*parts: bytes | Iterator[bytes]) -> Callable[[int], bytes]:
    """A source that gives `parts` one by one."""
    each = chain.from_iterable([part] if isinstance(part, bytes) else part for part in parts)
    return lambda _: next(each, b"")


def found(records: Iterator[Checked | RawRecord | Rejection]) -> list[Found]:
    """Where records stand, and why those that are rejected are."""
    items = [item for item in records if not isinstance(item, Checked)]
    return [(item.origin, item.reason if isinstance(item, Rejection) else None) for item in items]


def at(line: int, column: int, index: int | None = None) -> Found:
    return Origin("x", line, column, index), None


def oversized(line: int, column: int, index: int | None = None) -> Found:
    return Origin("x", line, column, index), Reason.OVERSIZED


@pytest.mark.parametrize(
    ("before", "space", "after", "expected"),
    [
        pytest.param(b'{"a":1,', b"\n", b'"b":2}\n{}', [oversized(1, 1), at(MANY + 2, 1)], id="lines in an object"),
        pytest.param(b'{"a":1,\n', b" \r", b'"b":2}\n{}', [oversized(1, 1), at(3, 1)], id="spaces in an object"),
        pytest.param(b"{", b" ", b"}\n{}", [oversized(1, 1), at(2, 1)], id="spaces behind a brace"),
        pytest.param(
            b"{", b"\n", b'}{"events":[{}]}', [oversized(1, 1), at(MANY + 1, 13, 0)], id="lines behind a brace"
        ),
        pytest.param(b'{"events"', b" ", b":[{}]}\n{}", [oversized(1, 1), at(2, 1)], id="spaces in an envelope"),
        pytest.param(
            b"{}\n[", b" ", b"{},{}]\n{}", [at(1, 1), at(2, MANY + 2, 0), at(2, MANY + 5, 1), at(3, 1)], id="list"
        ),
        pytest.param(b"{}\n[", b"\n", b"{}]", [at(1, 1), at(MANY + 2, 1, 0)], id="lines in a list"),
        pytest.param(b"[{", b"\n", b"},{}]", [oversized(1, 2, 0), at(MANY + 1, 3, 1)], id="lines in an item"),
        pytest.param(
            b'{"events":[{}]', b"\n", b"}{}", [at(1, 12, 0), at(MANY + 1, 2)], id="lines in an envelope's rest"
        ),
        pytest.param(b'{"a":{\n}}', b"\t", b"\n{}", [at(1, 1), at(3, 1)], id="spaces behind a value"),
        pytest.param(b"{}", b" ", b"{}", [at(1, 1), at(1, MANY + 3)], id="spaces between values"),
        pytest.param(b"{}", b" ", b"x\n{}", [oversized(1, 1), at(2, 1)], id="spaces before what spoils a value"),
    ],
)
def test_white_space_is_not_held(before: bytes, space: bytes, after: bytes, expected: list[Found]) -> None:
    """However much white space there is, a few blocks of it are in memory; what follows it has its own place."""
    read_block = blocks(before, repeat(space * (BLOCK // len(space)), MANY // BLOCK), after)
    tracemalloc.start()
    try:
        records = found(Cutter("x", read_block, LIMIT).records())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert records == expected
    assert peak < 10 * LIMIT


@pytest.mark.parametrize("space", [b" ", b"\n", b"\r\n", b" \n\t"])
@pytest.mark.parametrize(("before", "after"), [(b"{", b"}"), (b'{"a":1,', b'"b":2}'), (b'{"a"\n:[', b"{}]}")])
@pytest.mark.parametrize("layout", [b"%s", b"%s\n", b"[%s]", b'{"events":[%s]}'])
def test_white_space_counts_for_the_limit(space: bytes, before: bytes, after: bytes, layout: bytes) -> None:
    """A record keeps its white space up to the limit; one byte more is too much, wherever it stands."""
    missing = LIMIT - len(before) - len(after)
    record = before + b" " * (missing % len(space)) + space * (missing // len(space)) + after
    for data, expected in ((record, [record]), (before + b" " + record[len(before) :], [None])):
        records = Cutter("x", io.BytesIO(layout % data).read, LIMIT).records()
        assert [item.data for item in records if not isinstance(item, Checked)] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b'{%s"events":[{}]}', [b"{}"], id="envelope"),
        pytest.param(b'{"events":%s[{}]}', [b"{}"], id="envelope's list"),
        pytest.param(b"{}\n[%s{}]", [b"{}", b"{}"], id="list among lines"),
        pytest.param(b"{}%s{}", [b"{}", b"{}"], id="two values"),
    ],
)
def test_layouts_show_themselves_within_the_limit(data: bytes, expected: list[bytes]) -> None:
    """White space up to the limit hides no layout; nor does a small limit, which is about records alone."""
    for limit, size in ((LIMIT, LIMIT - 20), (10, 10_000)):
        records = Cutter("x", blocks(data % (b" " * size)), limit).records()
        assert [item.data for item in records if not isinstance(item, Checked)] == expected
