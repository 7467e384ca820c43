"""Ingestion by syslog-ng's http destination, which follows a file and posts batches of its lines."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from measure import Sample, ended
from target import Target

POLLING_SECONDS = 0.02
PATIENCE_SECONDS = 120.0

CONFIGURATION = """
@version: {version}
options {{ stats-freq(0); time-reopen(1); log-msg-size(1000000); }};
source lines {{
    file("{lines}" flags(no-parse) read-old-records(yes) follow-freq(0.1) log-fetch-limit(1000) log-iw-size(20000));
}};
destination endpoint {{
    http(
        url("{url}") method("POST")
        headers("Content-Type: application/json", "Authorization: Bearer benchmark")
        body("${{MESSAGE}}") body-prefix("{{\\"events\\":[") delimiter(",") body-suffix("]}}")
        batch-lines(100) batch-timeout(200) workers(5) log-fifo-size(200000)
    );
}};
log {{ source(lines); destination(endpoint); flags(flow-control); }};
"""


def program() -> str | None:
    """Where it is installed, if it is, with its http module."""
    found = shutil.which("syslog-ng", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return found if found and "http" in said(found)["Available-Modules"].split(",") else None


def said(path: str) -> dict[str, str]:
    """What it tells of itself."""
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)


def send(path: str, lines: Path, events: int, folder: Path, target: Target) -> Sample:
    """Let it send a file until every event has arrived, then end it; its time is that of the last answer."""
    configuration = folder / "syslog-ng.conf"
    text = CONFIGURATION.format(version=said(path)["Config version"], lines=lines, url=target.ingest_url)
    configuration.write_text(text, encoding="utf-8")
    files = [f"--{name}={folder / name}" for name in ("persist-file", "pidfile", "control")]
    command = [path, "--foreground", "--no-caps", f"--cfgfile={configuration}", *files]
    with (folder / "stderr.txt").open("wb") as err:
        started, began = time.perf_counter(), time.monotonic()
        process = subprocess.Popen(command, cwd=folder, stdout=err, stderr=err)
    try:
        while target.stats()["events"] < events:
            if process.poll() is not None or time.monotonic() - began > PATIENCE_SECONDS:
                sys.exit(f"syslog-ng did not send it all:\n{(folder / 'stderr.txt').read_text(errors='replace')}")
            time.sleep(POLLING_SECONDS)
    finally:
        process.terminate()
    return replace(ended(process, started), seconds=target.stats()["last_answer"] - began)
