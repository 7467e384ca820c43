"""Seeded runs of the tool against a platform that goes wrong, with kill -9 at any instant, until all is settled.

    python tests/chaos.py [--runs 200] [--seed 1] [--jobs 2] [--sabotage no-commit|no-second-post]

After each campaign (one input; runs that are killed or fail, until one ends in order) the server's own ledger is held
against the tool's account, event by event:

- lost: an event that the server has not taken, although it is good. Must be 0.
- doubled: an event that the server took under two request ids. At most what was in flight at each kill, and what a
  run left pending with an unknown outcome: the next run may cut it into other chunks.
- claimed: every event that the audit file or the delivered keys claim was taken, and every refusal was one.
- the audit file is whole after each campaign, and each account balances.
- a campaign in which no fault fired does not count, and is made up for by another one.
- where answers were lost, something must have been sent twice: otherwise the fault did not bite.

`--sabotage` breaks the tool on purpose, to show that this script notices: `no-commit` takes the commit of the
delivered keys out, `no-second-post` takes a lost answer for a success.
"""

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos_server import FAULTS, POISON
from support import clean_environment, line

CONCURRENCY, CHUNK = 5, 10
_MOST_RUNS = 25

SABOTAGE = {
    "": "",
    "no-commit": "from eventbridge_cli.ledger.delivered import DeliveredStore as S; S.commit = lambda *_: None; ",
    "no-second-post": (
        "import eventbridge_cli.delivery.ingester as i; v = i.verdict; "
        "i.verdict = lambda a, *r, **k: i.Accepted() if isinstance(a, i.NoAnswer) else v(a, *r, **k); "
    ),
}


@dataclass
class Campaign:
    """What came of one input."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    kills: int = 0
    doubled: int = 0
    replays: int = 0
    complaints: list[str] = field(default_factory=list)


def fly(seed: int, sabotage: str = "") -> Campaign:
    """One campaign from beginning to end."""
    rng = random.Random(seed)
    campaign = Campaign(seed)
    some = rng.sample(FAULTS, rng.randint(1, 5)) if rng.random() < 0.7 else list(FAULTS)
    script = Path(__file__).parent / "chaos_server.py"
    arguments = [sys.executable, str(script), str(seed), str(rng.choice([0.1, 0.3, 0.5])), ",".join(some)]
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        folder = Path(name)
        good, bad = make_input(folder, rng)
        until_settled(folder, url, rng, campaign, sabotage)
        with urllib.request.urlopen(f"{url}/ledger") as answer:  # noqa: S310 - loopback
            ledger = json.load(answer)
        server.communicate(timeout=10)
        check(folder, ledger, good, bad, campaign)
    return campaign


def make_input(folder: Path, rng: random.Random) -> tuple[set[str], set[str]]:
    """Events, copies, poison and broken lines; gives the ids of the good ones and of the poison."""
    good = {f"good-{number}" for number in range(rng.randint(50, 300))}
    poison = {f"{POISON}-{number}" for number in range(rng.choice([0, 0, 1, 3]))}
    texts = [line(0, interactionId=each) for each in sorted(good | poison)]
    texts += rng.sample(texts, 5)
    texts += [b'{"broken": ', b"nonsense"]
    rng.shuffle(texts)
    (folder / "events.ndjson").write_bytes(b"\n".join(texts))
    return good, poison


def until_settled(folder: Path, url: str, rng: random.Random, campaign: Campaign, sabotage: str) -> None:
    """Type the same command until it ends with nothing pending; kill some of the runs."""
    command = f"{SABOTAGE[sabotage]}import sys, runpy; runpy.run_module('eventbridge_cli', run_name='__main__')"
    options = f"--chunk-events {CHUNK} --concurrency {CONCURRENCY} --max-attempts 3 --timeout 1 --max-wait 5 -q"
    env = clean_environment(folder, GENESYS_ENV=url, GENESYS_CLIENT_ID="chaos", GENESYS_CLIENT_SECRET="s3cr3t")
    kills = rng.choice([0, 1, 1, 2, 3])
    for _ in range(_MOST_RUNS):
        campaign.runs += 1
        with subprocess.Popen(
            [sys.executable, "-c", command, "ingest", "events.ndjson", *options.split()],
            cwd=folder,
            env=env,
            stderr=subprocess.PIPE,
        ) as process:
            if campaign.kills < kills:
                time.sleep(rng.uniform(0.3, 2.5))
                process.kill()
            _, stderr = process.communicate(timeout=120)
        if process.returncode == -9:
            campaign.kills += 1
        elif process.returncode == 1:
            return
        elif process.returncode not in {3, 5}:  # 3: a token was refused twice in a row
            campaign.complaints.append(f"exit {process.returncode}: {stderr.decode()[-500:]}")
            return
    campaign.complaints.append(f"not settled after {_MOST_RUNS} runs")


def check(folder: Path, ledger: dict[str, Any], good: set[str], poison: set[str], campaign: Campaign) -> None:
    """Hold the server's ledger against the tool's account."""
    complain = campaign.complaints.append
    taken = Counter(ledger["taken"])
    campaign.faults.update(ledger["played"])
    campaign.replays = ledger["replays"]
    campaign.doubled = sum(count - 1 for count in taken.values())
    audit = folder / "ingestion_audit.jsonl"
    entries = [json.loads(text) for text in audit.read_bytes().splitlines()]
    if lost := good - taken.keys():
        complain(f"lost {len(lost)}: {sorted(lost)[:3]}")
    unknown = sum(len(entry["records"]) for entry in entries if entry.get("unknown") and "records" in entry)
    if campaign.doubled > campaign.kills * CONCURRENCY * CHUNK + unknown:
        complain(f"doubled {campaign.doubled} with {campaign.kills} kills and {unknown} unknown outcomes")
    if set(ledger["refused"]) != poison:
        complain(f"refused {ledger['refused']}, of {sorted(poison)}")
    answers_lost = campaign.faults["lost_answer"] + campaign.faults["half_an_answer"]
    if answers_lost and not campaign.kills and not campaign.replays:
        complain(f"{answers_lost} answers were lost, but nothing was ever sent twice")
    verified = subprocess.run(
        [sys.executable, "-m", "eventbridge_cli", "audit", "verify", str(audit)], capture_output=True, check=False
    )
    if verified.returncode:
        complain(f"audit: {(verified.stdout + verified.stderr).decode()[-500:]}")
    for entry in entries:
        if entry["event"] == "RUN_FINISHED" and entry["counts"]["read"] != sum(list(entry["counts"].values())[1:]):
            complain(f"an account does not balance: {entry['counts']}")
    check_claims(folder, entries, good, set(taken), complain)


def check_claims(
    folder: Path, entries: list[dict[str, Any]], good: set[str], taken: set[str], complain: Callable[[str], None]
) -> None:
    """What the audit file and the delivered keys claim was taken, and the keys are all there."""
    records = [each for entry in entries if entry["event"] == "INGESTION_SUCCEEDED" for each in entry["records"]]
    if strangers := {interaction for _, interaction, _ in records} - taken:
        complain(f"claimed as delivered, but not taken: {sorted(strangers)[:3]}")
    [state] = folder.rglob("*.sqlite3")
    with closing(sqlite3.connect(state)) as connection:
        stored = {key.hex() for (key,) in connection.execute("SELECT key FROM delivered")}
        for (keys,) in connection.execute("SELECT keys FROM recent"):
            stored |= {keys[start : start + 16].hex() for start in range(0, len(keys), 16)}
    if forgotten := {key for _, _, key in records} - stored:
        complain(f"{len(forgotten)} delivered events are not remembered")
    if len(stored) != len(good):
        complain(f"{len(stored)} keys are remembered of {len(good)} delivered events")


def main() -> None:
    """Fly campaigns until enough of them had faults; print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sabotage", choices=[name for name in SABOTAGE if name], default="")
    wanted = parser.parse_args()
    counted: list[Campaign] = []
    seed = wanted.seed
    with ThreadPoolExecutor(wanted.jobs) as pool:
        while len(counted) < wanted.runs:
            seeds = range(seed, seed + wanted.runs - len(counted))
            seed += len(seeds)
            for campaign in pool.map(lambda each: fly(each, wanted.sabotage), seeds):
                if campaign.faults.total() or campaign.kills:
                    counted.append(campaign)
                for complaint in campaign.complaints:
                    print(f"seed {campaign.seed}: {complaint}", flush=True)
    faults = sum((campaign.faults for campaign in counted), Counter[str]())
    failed = sum(bool(campaign.complaints) for campaign in counted)
    print(f"{len(counted)} campaigns, {sum(c.runs for c in counted)} runs, {sum(c.kills for c in counted)} kills")
    print("faults:", ", ".join(f"{name} {count}" for name, count in faults.most_common()))
    print(f"doubled {sum(c.doubled for c in counted)}, sent again {sum(c.replays for c in counted)}")
    print(f"{failed} campaigns failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
