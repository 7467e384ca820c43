"""Would a run work? Every part of the answer is a finding. Beside `run`, the other place where the rooms meet.

Nothing is changed: no event is sent, and a file that is made to see whether it can be made is gone at once.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from platformdirs import user_state_path

from eventbridge_cli.credentials import credentials
from eventbridge_cli.delivery.client import build_client
from eventbridge_cli.delivery.oauth import Credentials, GenesysAuth, Token
from eventbridge_cli.delivery.probe import Contact, contact, proxy, quota, resolve, try_ingest
from eventbridge_cli.endpoints import Endpoints, endpoints
from eventbridge_cli.errors import ConfigurationError, EbingestError
from eventbridge_cli.excerpt import bare
from eventbridge_cli.ledger.delivered import scope_name, store_of
from eventbridge_cli.ledger.lock import audit_lock, holder
from eventbridge_cli.ledger.standing import is_there
from eventbridge_cli.ledger.writable import check_file, check_folder, free_bytes
from eventbridge_cli.settings import Settings, given, load
from eventbridge_cli.transport.hosts import address
from eventbridge_cli.watch.opening import NoTracesError, open_traces
from eventbridge_cli.wording import counted

if TYPE_CHECKING:
    from eventbridge_cli.facts import TokenIssued

_PATIENCE = 30.0  # seconds for one check
_ANSWER = 10.0  # seconds for one answer
_CLOCK = 30.0  # seconds by which clocks may differ
_CERTIFICATE_DAYS = 14
_LITTLE_SPACE = 100_000_000  # bytes
_EXTRAS = {"metrics": "prometheus_client", "otlp": "opentelemetry"}


class State(StrEnum):
    """What a check came to. A note does not keep a run from working; what is skipped hangs on a check that failed."""

    OK = "ok"
    NOTE = "note"
    BAD = "bad"
    SKIPPED = "skipped"


class Finding(Struct, frozen=True):
    """What one check came to, and what to do about it."""

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


class Target(Protocol):
    """A place that receipts go to, which can be asked whether it would take them."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    async def check(self) -> None:
        """Find out; raises an `EbingestError` if it would not."""
        ...


class _Note(Struct, frozen=True):
    detail: str
    remedy: str


class _Check(Struct, frozen=True):
    """`look` gives what is good to know, or a note; it raises what is bad. `needs` names checks that must not fail."""

    group: str
    name: str
    look: Callable[[], Awaitable[str | _Note]]
    needs: tuple[str, ...] = ()


async def examine(targets: Sequence[Target] = ()) -> AsyncIterator[Finding]:
    """Make every check, and give each finding as soon as it is there.

    Args:
        targets: where receipts go to as well.
    """
    failed: set[str] = set()
    for check in _Examination().checks(targets):
        finding = await _make(check, failed)
        if finding.state in {State.BAD, State.SKIPPED}:
            failed.add(check.name)
        yield finding


async def _make(check: _Check, failed: set[str]) -> Finding:
    group, name = check.group, check.name
    if missing := [need for need in check.needs if need in failed]:
        return Finding(group, name, State.SKIPPED, f"needs {' and '.join(missing)}")
    try:
        async with asyncio.timeout(_PATIENCE):
            found = await check.look()
    except TimeoutError:
        return Finding(group, name, State.BAD, f"No answer within {_PATIENCE:g} s.", "Try again; is it overloaded?")
    except EbingestError as error:
        return Finding(group, name, State.BAD, error.message, error.remedy)
    if isinstance(found, _Note):
        return Finding(group, name, State.NOTE, found.detail, found.remedy)
    return Finding(group, name, State.OK, found)


class _Examination:
    """The checks in their order, and what the earlier ones have found out for the later ones."""

    def __init__(self) -> None:
        self._settings = Settings()
        self._where = Endpoints("", "", "")
        self._who: Credentials | None = None
        self._contacts: dict[str, Contact] = {}
        self._token: Token | None = None

    def checks(self, targets: Sequence[Target]) -> Iterator[_Check]:
        """Each is made before the next one is asked for."""
        yield _Check("Settings", "settings", self._look_at_settings)
        yield _Check("Settings", "platform", self._look_at_platform, ("settings",))
        if self._settings.metrics_textfile is not None or self._settings.otlp:
            yield _Check("Settings", "extras", self._look_at_extras)
        if self._settings.otlp:
            yield _Check("Settings", "traces", self._look_at_traces, ("extras",))
        yield from self._of_servers()
        yield from self._of_files()
        for target in targets:
            yield _Check("Sync", target.name, partial(_look_at_target, target))

    def _of_servers(self) -> Iterator[_Check]:
        ready = self._settings.access_token is not None
        urls = {} if ready else {"token": self._where.token_url}
        urls["ingest"] = self._where.ingest_url
        for role, url in urls.items():
            group = f"{role.capitalize()} server"
            yield _Check(group, f"{role} host", partial(self._look_up, url), ("platform",))
            yield _Check(group, f"{role} connection", partial(self._connect, url), (f"{role} host",))
            yield _Check(group, f"{role} clock", partial(self._compare_clocks, url), (f"{role} connection",))
            if role == "token":
                yield _Check(group, "token", self._get_token, ("token connection",))
        if ready:
            yield _Check("Ingest server", "token", self._get_token, ("platform",))
        yield _Check("Ingest server", "ingest", self._try_ingest, ("ingest connection", "token"))

    def _of_files(self) -> Iterator[_Check]:
        settings = self._settings
        files = {
            "audit": settings.audit,
            "dead letters": settings.dead_letters,
            "summary file": settings.summary_file,
        }
        for name, path in files.items():
            if path is not None and str(path) != "-":
                yield _Check("Files", name, partial(_look_at_file, path), ("settings",))
        if settings.metrics_textfile is not None:
            yield _Check("Files", "metrics file", partial(_look_at_metrics_file, settings.metrics_textfile))
        yield _Check("Files", "state", self._look_at_state, ("settings",))
        yield _Check("Files", "lock", self._look_at_locks, ("platform", "state"))

    async def _look_at_settings(self) -> str | _Note:
        self._settings = load()
        names = given()
        places = {"the environment": names.environment, ".env": names.env_file}
        told = "; ".join(f"{len(them)} from {place} ({', '.join(them)})" for place, them in places.items() if them)
        told = told or "none given, so the defaults hold"
        if names.unknown:
            odd = f"{told}; not the name of any setting: {', '.join(names.unknown)}"
            return _Note(odd, "Check the spelling; .env.example has every name.")
        return told

    async def _look_at_platform(self) -> str:
        """Every fault at once: an address that can't be right does not hide a secret that is missing."""
        faults: list[ConfigurationError] = []
        try:
            self._where = where = endpoints(self._settings)
        except ConfigurationError as fault:
            faults.append(fault)
            where = Endpoints("unknown", "unknown", "unknown")
        try:
            self._who = credentials(self._settings, where, to_ingest=True)
        except ConfigurationError as fault:
            faults.append(fault)
        if faults:
            remedies = dict.fromkeys(fault.remedy for fault in faults)
            raise ConfigurationError(" ".join(fault.message for fault in faults), " ".join(remedies))
        return f"{where.region}, events go to {bare(where.ingest_url)}"

    async def _look_at_extras(self) -> str:
        wanted = {"metrics": self._settings.metrics_textfile is not None, "otlp": self._settings.otlp}
        missing = [extra for extra, module in _EXTRAS.items() if wanted[extra] and find_spec(module) is None]
        if missing:
            raise ConfigurationError(
                f"The settings ask for {' and '.join(missing)}, which is not installed.",
                f"Install it with: pip install 'ebingest[{','.join(missing)}]'",
            )
        return f"installed: {', '.join(extra for extra in wanted if wanted[extra])}"

    async def _look_at_traces(self) -> str | _Note:
        try:
            open_traces("doctor", self._where.ingest_url, warn=lambda _: None)
        except NoTracesError as error:
            return _Note(f"{error.message} A run would go on without traces.", error.remedy)
        return "OpenTelemetry can be set up; the collector is not asked"

    async def _look_up(self, url: str) -> str:
        host, port = address(url)
        if through := proxy(url):
            return f"{host}, by way of the proxy {through}"
        found = await resolve(host, port)
        return f"{host} is {', '.join(found)}" if found != [host] else f"{host}, which is an address"

    async def _connect(self, url: str) -> str | _Note:
        async with build_client(timeout=self._timeout) as client:
            self._contacts[url] = found = await contact(client, url)
        if found.expires is None:
            return "plain http, which stays on this machine"
        days = (found.expires - datetime.now(UTC)).days
        told = f"{found.tls}, certificate trusted and good for {counted(days, 'day')}"
        if days < _CERTIFICATE_DAYS:
            return _Note(told, f"It ends on {found.expires:%Y-%m-%d}; tell whoever runs the server.")
        return told

    async def _compare_clocks(self, url: str) -> str | _Note:
        skew = self._contacts[url].skew
        if skew is None:
            return _Note("The server does not tell its time.", "Make sure that this machine's clock is right.")
        if abs(skew) <= _CLOCK:
            return f"within {_CLOCK:g} s of ours"
        side = "behind" if skew > 0 else "ahead of"
        return _Note(
            f"Our clock is {abs(skew):,.0f} s {side} the server's.",
            "Set this machine's clock (NTP): audit times, and waits that the platform asks for by date, are off.",
        )

    async def _get_token(self) -> str | _Note:
        assert self._who is not None  # noqa: S101 - it hangs on the check that finds it
        if self._who.access_token is not None:
            self._token = Token(self._who.access_token)
            return "GENESYS_ACCESS_TOKEN, taken as it is; its lifetime is not known"
        issued: list[TokenIssued] = []
        async with build_client(timeout=self._timeout) as client:
            self._token = await GenesysAuth(client, self._who, note=issued.append).token()
        [token] = issued
        life = f"good for {token.expires_in:,.0f} s" if token.expires_in else "its lifetime is not told"
        if lacking := set(self._who.scope.split()) - set(token.scope.split()):
            return _Note(
                f"issued, {life}, but without the scope {' '.join(sorted(lacking))}",
                "Give the OAuth client a role with that permission.",
            )
        return f"issued in {token.seconds:,.1f} s, {life}, scope {token.scope}"

    async def _try_ingest(self) -> str:
        assert self._token is not None  # noqa: S101 - likewise
        async with build_client(timeout=self._timeout) as client:
            answer = await try_ingest(client, self._where.ingest_url, self._token)
        told = f"address, token and permission are good (an empty list of events gets HTTP {answer.status})"
        return "; ".join(filter(None, (told, quota(answer.headers))))

    async def _look_at_state(self) -> str | _Note:
        folder = self._settings.state_folder
        check_folder(folder)
        database = store_of(folder, self._where.ingest_url, self._settings.identity)
        if is_there(database):
            check_file(database)
        return _space(folder)

    async def _look_at_locks(self) -> str | _Note:
        everyones, folder = user_state_path("ebingest"), self._settings.state_folder
        of_audit = audit_lock(self._settings.audit)
        scope = scope_name(self._where.ingest_url, self._settings.identity)
        locks = (folder / f"{scope}.lock", everyones / f"{of_audit}.lock", folder / f"{of_audit}.lock")
        for process in map(holder, locks):
            if process is not None:
                return _Note(
                    f"A run is under way (process {process or 'unknown'}).",
                    "Another one ends with exit code 6 until it has ended, or waits for it with --lock-wait SECONDS.",
                )
        return "no other run is under way"

    @property
    def _timeout(self) -> float:
        return min(self._settings.timeout, _ANSWER)


async def _look_at_file(path: Path) -> str | _Note:
    check_file(path)
    return _space(path)


async def _look_at_metrics_file(path: Path) -> str | _Note:
    check_file(path)
    if path.suffix != ".prom":
        return _Note(f"{path}: the textfile collector reads names in .prom alone.", "Give it such a name.")
    return _space(path)


async def _look_at_target(target: Target) -> str:
    await target.check()
    return "ready"


def _space(path: Path) -> str | _Note:
    free = free_bytes(path)
    if free < _LITTLE_SPACE:
        return _Note(f"{path}: only {free / 1e6:,.1f} MB are free on its disk.", "Free some space.")
    return f"{path}, {free / 1e9:,.1f} GB free"
