"""`ebingest doctor`, run as a user runs it: each check good and bad."""

import asyncio
import json
import re
import socket
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from support import ebingest, scripted, without

from eventbridge_cli.doctor import Finding, State, examine
from eventbridge_cli.errors import EndpointError
from eventbridge_cli.ledger.delivered import scope_name
from eventbridge_cli.ledger.lock import locked
from eventbridge_cli.sandbox.process import SandboxProcess

CANARY = "s3cr3t-c4n4ry"
CHECKS = {
    "settings": ["settings", "platform"],
    "token": ["token host", "token connection", "token clock", "token"],
    "ingest": ["ingest host", "ingest connection", "ingest clock", "ingest"],
    "files": ["audit", "dead letters", "state", "lock"],
}


@dataclass
class Report:
    """What doctor found, by the names of its checks."""

    code: int
    findings: dict[str, dict[str, str]]
    posts: list[dict[str, Any]]

    def of(self, state: str) -> list[str]:
        return [name for name, finding in self.findings.items() if finding["state"] == state]

    def told(self, name: str) -> str:
        return f"{self.findings[name]['detail']} {self.findings[name]['remedy']}"


def settings(url: str, **more: str) -> dict[str, str]:
    return {"GENESYS_ENV": url, "GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": CANARY, **more}


def examined(folder: Path, env: dict[str, str], posts: list[dict[str, Any]] | None = None) -> Report:
    """Run it, and hold what is true of every run: no secret, exit 3 if something is bad, nothing left behind."""
    before = sorted(folder.rglob("*"))
    run = ebingest("doctor", "-o", "json", cwd=folder, env=env)
    assert sorted(folder.rglob("*")) == before
    assert CANARY.encode() not in run.stdout + run.stderr
    assert run.stderr == b""
    document = json.loads(run.stdout)
    report = Report(run.returncode, {each["name"]: each for each in document["findings"]}, posts or [])
    assert len(report.findings) == len(document["findings"])
    assert run.returncode == document["exit_code"] == (3 if report.of("bad") else 0)
    assert all(report.findings[name]["remedy"] for name in report.of("bad") + report.of("note"))
    return report


def against(folder: Path, script: dict[str, Any], **more: str) -> Report:
    with scripted(script) as url:
        report = examined(folder, settings(url, **more))
        if "tls" not in script:
            with urllib.request.urlopen(f"{url}/ledger") as answer:  # noqa: S310 - loopback
                report.posts = json.load(answer)["posts"]
    return report


def test_all_is_well(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Against the stand-in platform every check is good, and no event has arrived."""
    env = settings(sandbox.url, GENESYS_CLIENT_ID=sandbox.client_id, GENESYS_CLIENT_SECRET=sandbox.client_secret)
    report = examined(tmp_path, env)
    assert report.of("ok") == [name for names in CHECKS.values() for name in names]
    with urllib.request.urlopen(f"{sandbox.url}/sandbox/stats") as answer:  # noqa: S310 - loopback
        stats = json.load(answer)
    assert (stats["events"], stats["request_ids"]) == (0, 0)


def test_text_and_json_say_the_same(tmp_path: Path) -> None:
    """Every finding stands in the text with its state, its detail and its remedy, in the same order; figures apart."""
    env = settings("no-such-region", EBINGEST_AUDIT="no-folder/audit.jsonl", EBINGEST_CONCURENCY="3")
    text = plain(ebingest("doctor", cwd=tmp_path, env=env, check=[3]).stdout.decode())
    at = 0
    for finding in examined(tmp_path, env).findings.values():
        line = f"  {finding['state']:9}{finding['name']:19}{finding['detail']}\n"
        at = text.index(plain(line), at)
        for remedy in finding["remedy"].splitlines():
            at = text.index(plain(remedy), at)
    assert text.endswith("Not ready: # to mend, # to note, # skipped.\n")


def plain(text: str) -> str:
    return re.sub(r"[0-9][0-9.,]*", "#", text)


def test_every_wrong_setting_is_named_at_once(tmp_path: Path) -> None:
    """Two values that can't be: both are named; whatever hangs on the settings is skipped and says so."""
    report = examined(tmp_path, settings("mypurecloud.de", EBINGEST_TIMEOUT="-1", EBINGEST_RATE="fast"))
    assert report.of("bad") == ["settings"]
    assert "EBINGEST_TIMEOUT" in report.told("settings")
    assert "EBINGEST_RATE" in report.told("settings")
    assert report.of("ok") == []
    assert report.findings["ingest"]["detail"] == "needs ingest connection and token"


def test_an_address_that_can_not_be_right_hides_no_missing_secret(tmp_path: Path) -> None:
    """Plain http to another machine and no credentials: one finding names all three; the files are looked at."""
    report = examined(tmp_path, {"GENESYS_ENV": "http://events.example.com"})
    assert report.of("bad") == ["platform"]
    for word in ("in the clear", "GENESYS_CLIENT_ID", "GENESYS_CLIENT_SECRET"):
        assert word in report.told("platform")
    assert {"audit", "dead letters", "state"} <= set(report.of("ok"))


def test_where_settings_come_from(tmp_path: Path) -> None:
    """Names by their source, never values; a name that is no setting is noted."""
    (tmp_path / ".env").write_text("GENESYS_CLIENT_ID=id\nEBINGEST_RATE=3/s\nEBINGEST_RETAE=1\n", encoding="utf-8")
    report = against(tmp_path, {}, EBINGEST_RATE="4/s")
    assert report.of("note") == ["settings"]
    assert "EBINGEST_RETAE" in report.told("settings")
    (tmp_path / ".env").write_text("GENESYSCLOUD_OAUTHCLIENT_ID=id\nEBINGEST_RATE=3/s\n", encoding="utf-8")
    told = against(tmp_path, {}, EBINGEST_RATE="4/s", GENESYS_CLIENT_ID="").told("settings")
    assert "1 from .env (GENESYS_CLIENT_ID)" in told
    assert "3 from the environment (EBINGEST_RATE, GENESYS_CLIENT_SECRET, GENESYS_ENV)" in told


def test_a_name_that_is_not_known(tmp_path: Path) -> None:
    """The host's name can't be resolved: what hangs on it is skipped."""
    report = examined(tmp_path, settings("https://no-such-host.invalid"))
    assert report.of("bad") == ["token host", "ingest host"]
    assert "no-such-host.invalid" in report.told("token host")
    assert report.of("skipped") == [*CHECKS["token"][1:], *CHECKS["ingest"][1:]]


def test_a_port_where_nobody_listens(tmp_path: Path) -> None:
    """The connection is refused, and the finding says so."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        report = examined(tmp_path, settings(f"http://127.0.0.1:{port}"))
    assert report.of("bad") == ["token connection", "ingest connection"]
    assert "connection refused" in report.told("token connection")


def test_another_address_of_this_machine_has_no_proxy(tmp_path: Path) -> None:
    """What is said of 127.0.0.2 is said of that address, whatever proxy the environment has."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        url = f"http://127.0.0.2:{taken.getsockname()[1]}"
        report = examined(tmp_path, settings(url, HTTP_PROXY="http://127.0.0.1:9"))
    assert report.told("token host") == "127.0.0.2, which is an address "
    assert "can't be spoken to: connection refused" in report.told("token connection")


def test_a_server_that_speaks_no_tls(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """Https to a server of plain http."""
    report = examined(tmp_path, settings(sandbox.url.replace("http:", "https:")))
    assert "does not speak TLS" in report.told("ingest connection")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def pem(folder: Path, authority: trustme.CA, host: str = "127.0.0.1", days: float = 100) -> dict[str, Any]:
    """A server's script with a certificate of that authority, which is in ca.pem."""
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    ends = datetime.now(UTC) + timedelta(days=days)
    path = folder / "server.pem"
    authority.issue_cert(host, not_after=ends).private_key_and_cert_chain_pem.write_to_path(str(path))
    return {"tls": str(path)}


@pytest.mark.parametrize(("days", "state"), [(100.5, "ok"), (5.5, "note")])
def test_a_trusted_certificate_tells_its_days(tmp_path: Path, authority: trustme.CA, days: float, state: str) -> None:
    """SSL_CERT_FILE is taken as in any run; a certificate that ends soon is noted."""
    report = against(tmp_path, pem(tmp_path, authority, days=days), SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    assert report.findings["ingest connection"]["state"] == state
    assert f"good for {int(days)} days" in report.told("ingest connection")
    assert (report.code, report.of("bad")) == (0, [])


@pytest.mark.parametrize(
    ("host", "days", "trusted", "why", "remedy"),
    [
        ("127.0.0.1", 9, False, "unable to get local issuer certificate.", "SSL_CERT_FILE"),
        ("other.example", 9, True, "not valid for '127.0.0.1'.", "GENESYS_INGEST_URL"),
        ("127.0.0.1", -1, True, "expired.", "clock"),
    ],
)
def test_a_certificate_that_is_not_trusted(
    tmp_path: Path, authority: trustme.CA, host: str, days: int, why: str, *, trusted: bool, remedy: str
) -> None:
    """An unknown authority, another host's name, a day too old: the reason, and the way out of each."""
    script = pem(tmp_path, authority, host, days)
    report = against(tmp_path, script, **({"SSL_CERT_FILE": str(tmp_path / "ca.pem")} if trusted else {}))
    assert report.of("bad") == ["token connection", "ingest connection"]
    assert why in report.told("ingest connection")
    assert ".." not in report.told("ingest connection")
    assert remedy in report.told("ingest connection")


def test_certificates_that_can_not_be_read(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """SSL_CERT_FILE names no file: said so, by doctor and by a run."""
    env = settings(sandbox.url, SSL_CERT_FILE="no-such.pem")
    assert "SSL_CERT_FILE" in examined(tmp_path, env).told("token connection")
    assert b"SSL_CERT_FILE" in ebingest("token", cwd=tmp_path, env=env, check=[3]).stderr


@pytest.mark.parametrize(("skew", "side"), [(-500, "ahead of"), (500, "behind")])
def test_a_clock_that_is_off_is_noted(tmp_path: Path, skew: int, side: str) -> None:
    """The server's Date lies: a note names the side and about how much, and the exit code stays 0."""
    report = against(tmp_path, {"skew": skew})
    assert report.of("note") == ["token clock", "ingest clock"]
    assert re.search(rf"Our clock is (49\d|50\d) s {side} the server's", report.told("token clock"))
    assert report.code == 0


def test_a_wrong_secret(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """The token is bad, and with it alone what needs it."""
    report = examined(tmp_path, settings(sandbox.url))
    assert (report.of("bad"), report.of("skipped")) == (["token"], ["ingest"])
    assert "GENESYS_CLIENT_SECRET" in report.told("token")
    assert report.findings["ingest"]["detail"] == "needs token"


def test_a_scope_that_was_not_granted_is_noted(tmp_path: Path) -> None:
    """The token lacks the scope that was asked for."""
    token = {"access_token": "t0k3n-c4n4ry", "expires_in": 600, "scope": "other"}
    report = against(tmp_path, {"tokens": [{"body": token}]})
    assert report.of("note") == ["token"]
    assert "without the scope eventbridge:ingest" in report.told("token")
    assert "good for 600 s" in report.told("token")


@pytest.mark.parametrize(
    ("answer", "state", "why"),
    [
        ({}, "ok", "HTTP 200"),
        ({"status": 400, "body": {"message": "no events"}}, "ok", "HTTP 400"),
        ({"status": 422}, "ok", "HTTP 422"),
        ({"status": 401}, "bad", "does not accept the token"),
        ({"status": 403}, "bad", "permission"),
        ({"status": 404}, "bad", "no ingest endpoint"),
        ({"status": 302}, "bad", "redirect"),
        ({"status": 503}, "bad", "at present (http 503)"),
        ({"cut": True}, "bad", "at present (connection lost)"),
    ],
)
def test_the_ingest_endpoint_is_asked_without_an_event(
    tmp_path: Path, answer: dict[str, Any], state: str, why: str
) -> None:
    """One POST of an empty list; its answer tells address, token and permission apart."""
    report = against(tmp_path, {"always": answer})
    assert report.findings["ingest"]["state"] == state
    assert why in report.told("ingest")
    assert [post["events"] for post in report.posts] == [[]]


def test_an_answer_that_quotes_the_token_does_not_give_it_away(tmp_path: Path) -> None:
    """What the endpoint says is told without the token that it was sent."""
    report = against(tmp_path, {"always": {"status": 403, "body": {"message": "Bearer token-0 may not"}}})
    assert "Bearer … may not" in report.findings["ingest"]["remedy"]


def test_the_quota_is_shown(tmp_path: Path) -> None:
    """Where the platform tells its quota, doctor does so."""
    report = against(tmp_path, {"quota": {"allowed": 300, "window": 60}})
    assert "1 of 300 requests used, reset in 60" in report.told("ingest")


def test_a_ready_token_needs_no_token_server(tmp_path: Path) -> None:
    """GENESYS_ACCESS_TOKEN: nothing is asked of the token server."""
    with scripted({}) as url:
        env = {"GENESYS_INGEST_URL": f"{url}/api/v2/events/ingest", "GENESYS_ACCESS_TOKEN": CANARY}
        report = examined(tmp_path, env)
        with urllib.request.urlopen(f"{url}/ledger") as answer:  # noqa: S310 - loopback
            ledger = json.load(answer)
    assert "token host" not in report.findings
    assert (report.of("bad"), ledger["tokens"], len(ledger["posts"])) == ([], [], 1)


def test_files_that_can_not_be_written(tmp_path: Path) -> None:
    """A folder that is a file, one that is not there, a name that is a folder: each is bad, none hides another."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    bad = {
        "EBINGEST_AUDIT": "file/audit.jsonl",
        "EBINGEST_DEAD_LETTERS": "nowhere/letters.ndjson",
        "EBINGEST_SUMMARY_FILE": "folder",
        "EBINGEST_METRICS_TEXTFILE": "file/run.prom",
        "EBINGEST_STATE": "file/state",
    }
    report = against(tmp_path, {}, **bad)
    assert report.of("bad") == ["audit", "dead letters", "summary file", "metrics file", "state"]
    assert "there is no folder nowhere" in report.told("dead letters")
    assert "it is a folder" in report.told("summary file")
    assert "Not a directory" in report.told("audit")


def test_files_that_can_be_written(tmp_path: Path) -> None:
    """Files that are there stay as they are; a state folder that is not there yet is no fault, and is not made."""
    (tmp_path / "audit.jsonl").write_bytes(b"as it was")
    good = {"EBINGEST_AUDIT": "audit.jsonl", "EBINGEST_STATE": "a/b/c", "EBINGEST_METRICS_TEXTFILE": "run.prom"}
    report = against(tmp_path, {}, **good)
    assert report.of("bad") + report.of("note") == []
    assert (tmp_path / "audit.jsonl").read_bytes() == b"as it was"


def test_metrics_that_the_textfile_collector_would_not_read(tmp_path: Path) -> None:
    """A name that does not end in .prom is noted."""
    report = against(tmp_path, {}, EBINGEST_METRICS_TEXTFILE="run.txt")
    assert report.of("note") == ["metrics file"]


def test_an_extra_that_is_not_installed(tmp_path: Path) -> None:
    """The settings ask for metrics and traces: what is missing is named, with the way to install it."""
    site = tmp_path.parent / f"{tmp_path.name}-site"
    wanted = {"EBINGEST_METRICS_TEXTFILE": "run.prom", "EBINGEST_OTLP": "on"}
    report = against(tmp_path, {}, **wanted, **without("prometheus_client", site), PYTHONDONTWRITEBYTECODE="1")
    assert report.of("bad") == ["extras"]
    assert "pip install 'ebingest[metrics]'" in report.told("extras")
    assert against(tmp_path, {}, **wanted).findings["extras"]["state"] == "ok"


@pytest.mark.parametrize("variable", ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"])
def test_traces_that_can_not_be_drawn_are_noted(tmp_path: Path, variable: str) -> None:
    """No run ends for a wrong OTEL_ variable, so that it is a note, which names it."""
    wanted = {"EBINGEST_OTLP": "on"}
    assert against(tmp_path, {}, **wanted).findings["traces"]["state"] == "ok"
    report = against(tmp_path, {}, **wanted, **{variable: "-3"})
    assert report.of("note") == ["traces"]
    assert f"Look at {variable}." in report.told("traces")


def test_a_run_that_is_under_way_is_noted(tmp_path: Path) -> None:
    """The lock is held: the process is named, and nothing has to be mended."""
    with scripted({}) as url:
        scope = scope_name(f"{url}/api/v2/events/ingest", "id")
        with locked(tmp_path / "state", scope, "the same endpoint and client"):
            report = examined(tmp_path, settings(url, EBINGEST_STATE="state"))
    assert report.of("note") == ["lock"]
    assert "--lock-wait" in report.told("lock")


def test_a_long_name_has_a_line_of_its_own(tmp_path: Path) -> None:
    """The URL of a target stands there once, and what is said of it below."""
    folder = tmp_path / "a-lake-with-a-long-name"
    folder.mkdir()
    env = settings("no-such-region", EBINGEST_SYNC=f"http://127.0.0.1:1/x {folder.as_uri()}")
    text = ebingest("doctor", cwd=tmp_path, env=env | {"EBINGEST_WEBHOOK_SECRET": CANARY}, check=[3]).stdout.decode()
    margin = " " * 30
    assert f"\n  bad      http://127.0.0.1:1/x\n{margin}can't be reached" in text
    assert text.count("http://127.0.0.1:1/x") == 1
    assert f"\n  ok       {folder.as_uri()}\n{margin}ready\n" in text


@dataclass
class Lake:
    """A target of receipts."""

    name: str
    error: EndpointError | None = None

    async def check(self) -> None:
        if self.error:
            raise self.error


def test_targets_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever hands targets in has each of them checked, whatever became of the rest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GENESYS_ENV", "no-such-region")
    targets = [Lake("file:lake"), Lake("s3:bucket", EndpointError("The bucket is not there.", "Make it."))]

    async def look() -> list[Finding]:
        return [finding async for finding in examine(targets)]

    good, bad = asyncio.run(look())[-2:]
    assert good == Finding("Sync", "file:lake", State.OK, "ready")
    assert bad == Finding("Sync", "s3:bucket", State.BAD, "The bucket is not there.", "Make it.")
