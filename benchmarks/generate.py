"""Make realistic interaction events for the benchmarks and the samples: seeded, streamed, all of it made up.

    python benchmarks/generate.py 1000000 --seed 1 --copies 5 > events.ndjson

The same arguments give the same bytes on every Python, for which reason only `Random.random` and
`Random.getrandbits` are used: their sequences are promised to stay as they are.
"""

import argparse
import gzip
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import NamedTuple, TypeVar
from uuid import UUID

Item = TypeVar("Item")

START = datetime(2025, 9, 1, 6)  # noqa: DTZ001 - in UTC; each event adds its own offset and writes it
PENDING = 200  # events held back so that interactions overlap: all the memory that the stream needs
ARRIVAL_MS = 600_000  # a new interaction starts within this time
KEPT = 1_000  # events that copies are drawn from
REPLACED = 0.05  # share of events that take a place among them: a copy is 20,000 events late on average
BARE = 0.12  # share of events without attributes
NOTED = 0.06  # share of events with a note

LANGUAGES = {  # what is spoken at a site: its offset from UTC in minutes, and the skills of its queues
    "en-US": (-300, ("billing", "orders", "tech-support", "VIP ⭐")),
    "en-GB": (60, ("billing-uk", "retention", "card-services")),
    "de-DE": (120, ("Rechnung", "Störung", "Kündigung")),
    "fr-FR": (120, ("réclamations", "facturation")),
    "pt-BR": (-180, ("cobrança", "suporte técnico")),
    "ja-JP": (540, ("請求", "技術サポート", "解約のご相談")),
    "ar-EG": (180, ("الفواتير", "الدعم الفني")),
    "ru-RU": (180, ("Оплата", "Техподдержка")),
    "hi-IN": (330, ("बिलिंग", "orders-in")),
}
MEDIA = ("voice", "voice", "voice", "chat", "email", "message", "callback")
EVENT_TYPES = {
    "QUEUE": "conversation.queued",
    "REQUEUE": "conversation.requeued",
    "ANSWER": "conversation.answered",
    "TRANSFER": "conversation.transferred",
    "DISCONNECT": "conversation.disconnected",
}
PASSING_MS = {  # how long each step may take to happen after the one before it
    "QUEUE": (20, 900),
    "REQUEUE": (10_000, 45_000),
    "ANSWER": (800, 240_000),
    "TRANSFER": (15_000, 600_000),
    "DISCONNECT": (8_000, 900_000),
}
REQUEUE_REASONS = ("agent-no-answer", "agent-declined", "skill-relaxed", "station-lost")
WRAP_UPS = ("WU-RESOLVED", "WU-FOLLOW-UP", "WU-REFUND", "WU-WRONG-QUEUE", "WU-NO-CONTACT", "WU-解決済み")
NOTES = tuple(
    json.dumps(text, ensure_ascii=escaped)
    for escaped in (False, True)
    for text in (
        "お客様へ折り返しのご連絡が必要です",
        "يرجى معاودة الاتصال غدًا",
        "Клиент просит перезвонить",
        "Résolu 👍🏽 merci",
        'Asked for "express" delivery\nsecond request',
    )
)


class Queue(NamedTuple):
    """Where interactions wait for an agent."""

    id: str
    skill: str


class Site(NamedTuple):
    """One language's queues and agents."""

    language: str
    clocks: tuple[tuple[datetime, str], ...]
    queues: tuple[Queue, ...]
    agents: tuple[str, ...]


def events(count: int, seed: int = 1, copies: float = 0) -> Iterator[bytes]:
    """Make `count` events, each as one line of compact JSON without its newline.

    Whole lifecycles of interactions, in the order of their time; only the last to start may be cut short.

    Args:
        count: How many lines to make, copies included.
        seed: The same seed gives the same lines.
        copies: How many in a hundred lines repeat an earlier line byte for byte. No two others share
            `interactionId`, `eventType` and `eventTime`.
    """
    repeats = int(count * copies / 100)
    fresh = _fresh(count - repeats, Random(seed))
    rng = Random(seed + 1)  # of its own, so that the distinct events are the same with and without copies
    kept: list[bytes] = []
    for number in range(count):
        if (number + 1) * repeats // count > number * repeats // count:
            yield _pick(rng, kept)
            continue
        line = next(fresh)
        if repeats and len(kept) < KEPT:
            kept.append(line)
        elif repeats and _chance(rng, REPLACED):
            kept[int(rng.random() * KEPT)] = line
        yield line


def _fresh(count: int, rng: Random) -> Iterator[bytes]:
    """Interleave interactions by time until `count` events are made."""
    sites = [_site(rng, language) for language in LANGUAGES]
    pending: list[tuple[int, bytes]] = []
    now = started = 0
    for _ in range(count):
        while started < count and len(pending) < PENDING:
            opening = now + int(rng.random() * ARRIVAL_MS)
            for item in _interaction(rng, _pick(rng, sites), opening)[: count - started]:
                heappush(pending, item)
                started += 1
        now, line = heappop(pending)
        yield line


def _interaction(rng: Random, site: Site, moment: int) -> list[tuple[int, bytes]]:
    """One interaction from its first queue to its end, with the time of each event in ms since `START`."""
    identity = _uuid(rng)
    clock, offset = _pick(rng, site.clocks)
    version = _pick(rng, (1, 2, 2, 2, 3, 3))
    media = _pick(rng, MEDIA)
    queue, segment = _pick(rng, site.queues), 0
    result = []
    for action in _actions(rng):
        shortest, longest = PASSING_MS[action]
        passed = shortest + int(rng.random() * rng.random() * (longest - shortest))
        moment += passed  # never 0, so that no two events share a time
        segment += action in {"QUEUE", "REQUEUE"}
        following = queue
        if action == "TRANSFER":
            following = _pick(rng, [other for other in site.queues if other is not queue])
        details = _details(rng, action, site, passed, following)
        attributes = f'"attributes":{{"mediaType":"{media}","segment":{segment}{details}}},'
        time = (clock + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")
        line = (
            f'{{"eventType":"{EVENT_TYPES[action]}","eventTime":"{time}{offset}","interactionId":"{identity}",'
            f'"routingMetadata":{{"queueId":"{queue.id}","skill":"{queue.skill}","actionType":"{action}"}},'
            f'{"" if _chance(rng, BARE) else attributes}"schemaVersion":{version}}}'
        )
        result.append((moment, line.encode()))
        queue = following
    return result


def _details(rng: Random, action: str, site: Site, passed: int, following: Queue) -> str:
    """What an event of this kind tells of itself, as further members of a JSON object."""
    match action:
        case "QUEUE":
            priority, wait = int(rng.random() * 10), int(rng.random() * 240) * 1000
            result = f',"language":"{site.language}","priority":{priority},"estimatedWaitMs":{wait}'
        case "REQUEUE":
            result = f',"reason":"{_pick(rng, REQUEUE_REASONS)}","waitMs":{passed}'
        case "ANSWER":
            result = f',"agentId":"{_pick(rng, site.agents)}","waitMs":{passed}'
        case "TRANSFER":
            kind = _pick(rng, ("blind", "consult"))
            result = f',"talkMs":{passed},"transfer":{{"type":"{kind}","targetQueueId":"{following.id}"}}'
        case _:
            result = f',"talkMs":{passed}{_ending(rng)}'
    return result + (f',"note":{_pick(rng, NOTES)}' if _chance(rng, NOTED) else "")


def _actions(rng: Random) -> Iterator[str]:
    """The steps of an interaction's life."""
    while True:
        yield "QUEUE"
        if _chance(rng, 0.15):
            yield "REQUEUE"
        yield "ANSWER"
        if _chance(rng, 0.65):
            yield "DISCONNECT"
            return
        yield "TRANSFER"


def _ending(rng: Random) -> str:
    """What only the last event of an interaction knows; its numbers don't survive a detour through floats."""
    result = (
        f',"disconnectType":"{_pick(rng, ("client", "agent", "system"))}"'
        f',"wrapUp":{{"code":"{_pick(rng, WRAP_UPS)}","durationMs":{int(rng.random() * 90_000)}}}'
    )
    if _chance(rng, 0.3):
        result += f',"survey":{{"score":{1 + int(rng.random() * 10)},"weight":1.10,"comment":null}}'
    if _chance(rng, 0.3):
        ledger = rng.getrandbits(88)
        result += f',"flow":{{"path":["menu","queue","agent"],"recorded":true,"ledgerId":{ledger}}}'
    return result


def _site(rng: Random, language: str) -> Site:
    minutes, skills = LANGUAGES[language]
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    local = (START + timedelta(minutes=minutes), f"{sign}{hours:02}:{rest:02}")
    queues = tuple(Queue(_uuid(rng), skill) for skill in skills)
    return Site(language, ((START, "Z"), local), queues, tuple(_uuid(rng) for _ in range(12)))


def _uuid(rng: Random) -> str:
    return str(UUID(int=rng.getrandbits(128), version=4))


def _pick(rng: Random, items: Sequence[Item]) -> Item:
    return items[int(rng.random() * len(items))]


def _chance(rng: Random, share: float) -> bool:
    return rng.random() < share


def write_samples(folder: Path) -> None:
    """Write the valid sample files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = b"".join(line + b"\n" for line in events(360, seed=1, copies=2.25))
    (folder / "interactions.ndjson").write_bytes(lines)
    lines = b"".join(line + b"\n" for line in events(60, seed=3))
    (folder / "interactions.ndjson.gz").write_bytes(gzip.compress(lines, mtime=0))
    # As a float, 1.10 would lose its 0: it passes as a string between @ signs, and then loses its quotes.
    values = [json.loads(line, parse_float="@{}@".format) for line in events(40, seed=2)]
    text = re.sub(r'"@([^"@]+)@"', r"\1", json.dumps(values, ensure_ascii=False, indent=2))
    (folder / "interactions.json").write_bytes(text.encode() + b"\n")


def _write(lines: Iterable[bytes], form: str) -> None:
    write = sys.stdout.buffer.write
    if form == "ndjson":
        for line in lines:
            write(line + b"\n")
        return
    lead = b"[\n"
    for line in lines:
        write(lead + line)
        lead = b",\n"
    write(b"[]\n" if lead == b"[\n" else b"\n]\n")


def _percentage(text: str) -> float:
    value = float(text)
    if not 0 <= value < 100:  # noqa: PLR2004 - the first line can't be a copy
        raise argparse.ArgumentTypeError("must be at least 0 and less than 100")
    return value


def main() -> None:
    """Write what the command line asks for."""
    parser = argparse.ArgumentParser(description="Write made-up interaction events to standard output.")
    parser.add_argument("count", metavar="COUNT", type=int, nargs="?", help="lines to write, copies included")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same events (default: 1)")
    parser.add_argument(
        "--copies",
        metavar="PERCENT",
        type=_percentage,
        default=0.0,
        help="share of lines that repeat an earlier one (default: 0)",
    )
    parser.add_argument("--format", choices=("ndjson", "array"), default="ndjson", help="default: ndjson")
    parser.add_argument("--samples", metavar="DIR", type=Path, help="write the valid samples there")
    options = parser.parse_args()
    if options.samples:
        write_samples(options.samples)
    elif options.count is None or options.count < 0:
        parser.error("COUNT must be a number, 0 or more")
    else:
        _write(events(options.count, options.seed, options.copies), options.format)


if __name__ == "__main__":
    main()
