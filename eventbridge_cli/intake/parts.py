"""Cut NDJSON into parts that several processes can look at side by side."""

from collections.abc import Callable, Iterator

from pydantic_core import from_json

from eventbridge_cli.flow import Lines, Part, RawRecord, Rejection
from eventbridge_cli.intake.cut import Cutter
from eventbridge_cli.intake.sources import BLOCK, DAMAGED


def parts(name: str, read_block: Callable[[int], bytes], limit: int) -> Iterator[Part | Lines | RawRecord | Rejection]:
    """The parts of a source, or its records where it is no NDJSON or has a line that is not to be held in memory.

    Args:
        name: what the source is called in origins.
        read_block: reads at most so many bytes; an empty answer is the end.
        limit: the size in bytes over which a record is not held but rejected.
    """
    rest, line = b"", 1
    pending: list[bytes | Exception] = []  # what a cutter is to read before it goes on by itself

    def read_on(size: int) -> bytes:
        if not pending:
            return read_block(size)
        block = pending.pop(0)
        if isinstance(block, Exception):
            raise block
        return block

    while len(rest) <= limit:
        try:
            block = read_block(BLOCK)
        except DAMAGED as error:
            pending.append(error)
            break
        if not block:
            if line > 1 and rest:
                yield Part(name, line, rest)
                return
            pending.append(b"")
            break
        end = block.rfind(b"\n") + 1
        if not end:
            rest += block
            continue
        data, rest_of_it = rest + block[:end], block[end:]
        if line == 1 and not _is_record(data[: data.index(b"\n")]):
            rest += block
            break
        yield Part(name, line, data)
        line += data.count(b"\n")
        rest = rest_of_it
    pending.insert(0, rest)
    if rest or pending[1:] != [b""]:
        yield from Cutter(name, read_on, limit, line=line if line > 1 else None).records()


def _is_record(line: bytes) -> bool:
    """Whether a first line is one whole object, by which a file is known as NDJSON; no envelope, for certain."""
    try:
        return line.startswith(b"{") and b'"events"' not in line and isinstance(from_json(line), dict)
    except ValueError:
        return False
