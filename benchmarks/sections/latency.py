"""How well waiting for answers is overlapped."""

from collections.abc import Callable, Sequence
from functools import partial

from measure import Contender, Goal, Results, Sample, Section

from sections import CPU, SECONDS, Bench, figure
from sections.posting import ingest, posted

LATENCIES = (20, 100, 300)
CONNECTIONS = (5, 20, 50)
CHUNK = 10
SECONDS_OF_A_RUN, QUICK_SECONDS = 6, 0.8
LEAST_REQUESTS = 40
"""For each connection. One of them waits while the run's first request is found to be welcome: it should not count."""

SHARE = 0.92


def section(bench: Bench) -> Section:
    """The tool against servers that take their time, on few and on many connections."""
    pairs = [(latency, connections) for latency in LATENCIES for connections in CONNECTIONS]
    return Section(
        name="latency",
        title="Ingest to a server that takes its time",
        notes=f"Chunks of {CHUNK} events; runs of {length(bench):g} s or more, with {LEAST_REQUESTS} requests or more "
        "for each connection. Ideal is connections / latency requests a second. The share is what was achieved of it: "
        "by the tool's own summary (requests over busy time), and by the server (first request to last answer). Both "
        "take the latency that the server measured (held), which is a little above the one it was told; the last "
        "column takes the latter.",
        contenders=[Contender(name(*pair), paced(bench, *pair)) for pair in pairs],
        columns=[
            figure("share, by the tool", "own_share", "{:.1%}"),
            figure("share, by the server", "share", "{:.1%}"),
            figure("requests/s", "rate", "{:,.0f}"),
            figure("held, ms", "held_ms"),
            figure("share, by the told latency", "told_share", "{:.1%}"),
            SECONDS,
            CPU,
        ],
        goals=goals,
        rounds=bench.rounds,
    )


def name(latency: int, connections: int) -> str:
    """Of a row."""
    return f"{latency} ms, {connections} connections"


def length(bench: Bench) -> float:
    """Of a run, in seconds, at least."""
    return QUICK_SECONDS if bench.quick else SECONDS_OF_A_RUN


def requests(bench: Bench, latency: int) -> int:
    """How many each connection makes."""
    return max(round(length(bench) * 1000 / latency), LEAST_REQUESTS)


def paced(bench: Bench, latency: int, connections: int) -> Callable[[], Sample]:
    """What measures one pair."""
    events = connections * requests(bench, latency) * CHUNK
    options = ("--concurrency", str(connections), "--chunk-events", str(CHUNK))
    command = ingest(bench, bench.inputs.ndjson(events), *options)
    return partial(shares, posted(bench, command, events, latency=latency), latency / 1000, connections)


def shares(measured: Callable[[], Sample], latency: float, connections: int) -> Sample:
    """A run with what it achieved of the ideal."""
    sample = measured()
    made, held = sample.figures["requests"], sample.figures["held"]
    rate, own_rate = made / sample.figures["span"], made / sample.figures["busy"]
    return sample.with_figures(
        rate=rate,
        held_ms=held * 1000,
        own_share=own_rate * held / connections,
        share=rate * held / connections,
        told_share=rate * latency / connections,
    )


def goals(results: Results) -> Sequence[Goal]:
    """The lower share of each pair."""
    pairs = [name(latency, connections) for latency in LATENCIES for connections in CONNECTIONS]
    return [
        Goal(f"ingest, {pair}: share of the ideal rate", results.median(pair, lower), SHARE, at_least=True)
        for pair in pairs
    ]


def lower(sample: Sample) -> float:
    """The share that the less content of the two saw."""
    return min(sample.figures["own_share"], sample.figures["share"])
