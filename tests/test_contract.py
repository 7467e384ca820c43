"""What the design promises about the code itself: who imports whom, what is loaded when, which names exist."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, get_args, get_type_hints

import pytest
import typer
from msgspec import Struct
from support import ROOT, audit_lines, lines

import eventbridge_cli
from eventbridge_cli import errors, settings
from eventbridge_cli.cli import app as door
from eventbridge_cli.cli.app import app
from eventbridge_cli.sandbox.process import SandboxProcess

PACKAGE = ROOT / "eventbridge_cli"
NOUNS = {"flow", "bulk", "chunks", "facts", "errors"}


def rooms(names: str) -> set[str]:
    return set(names.split())


MAY_IMPORT = {
    "flow": set(),
    "packing": set(),
    "ascii_json": set(),
    "bulk": {"flow"},
    "chunks": {"flow", "bulk", "packing", "ascii_json"},
    "facts": {"flow", "chunks", "errors", "excerpt", "packing"},
    "errors": set(),
    "fields": set(),
    "excerpt": {"fields"},
    "members": set(),
    "schema": {"fields"},
    "models": {"fields", "schema"},
    "cores": set(),
    "secret": set(),
    "transport": {"errors", "transport"},
    "settings": {"errors", "secret"},
    "signals": {"errors"},
    "endpoints": {"errors", "excerpt", "settings", "transport"},
    "intake": NOUNS - {"facts"} | {"fields", "members", "schema", "signals", "intake"},
    "delivery": NOUNS | {"excerpt", "fields", "secret", "transport", "delivery", "wording"},
    "ledger": NOUNS | {"packing", "ascii_json", "ledger"},
    "lake": NOUNS | rooms("fields members schema secret transport lake"),
    "wording": set(),
    "report": NOUNS | {"ledger", "wording", "report"},
    "sandbox": {"errors", "sandbox"},
    "repeating": set(),
    "watch": NOUNS | {"ledger", "repeating", "watch"},
    "sync": NOUNS | {"settings", "delivery", "ledger", "lake"},
    "left_over": NOUNS | {"excerpt", "settings", "endpoints", "delivery", "ledger", "lake", "sync", "signals"},
    "credentials": {"errors", "settings", "endpoints", "delivery"},
    "strict": NOUNS | {"intake", "ledger", "signals"},
    "run": NOUNS
    | rooms("excerpt settings endpoints credentials strict intake transport delivery ledger sync signals wording"),
    "doctor": NOUNS | rooms("excerpt settings endpoints credentials transport delivery ledger watch wording"),
    "cli": NOUNS
    | rooms("cores excerpt settings signals endpoints credentials wording intake delivery ledger run sync")
    | rooms("left_over repeating doctor sandbox watch report cli"),
}
ONLY_IN = {
    "typer": {"cli"},
    "rich": {"cli"},
    "httpx": {"delivery", "lake", "transport"},
    "starlette": {"sandbox"},
    "uvicorn": {"sandbox"},
    "prometheus_client": {"watch"},
    "opentelemetry": {"watch"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "markupsafe": {"report"},
}
EXTRAS = {"obstore": "objects", "confluent_kafka": "kafka", "pyarrow": "parquet"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path, source: str) -> Iterator[str]:
    """The full names of all that a module's source imports, the relative ones, too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = (node.module,) if node.module else ()
            yield from (".".join([*above, *module, alias.name]) for alias in node.names)


def forbidden(path: Path, source: str) -> list[str]:
    """What a module's source imports against the tables."""
    here, found = room(path), []
    for name in imported(path, source):
        top, _, rest = name.partition(".")
        if top == PACKAGE.name:
            allowed = rest.partition(".")[0] in MAY_IMPORT[here] | {"__version__"}
        else:
            allowed = here in ONLY_IN.get(top, {here}) and path.stem == EXTRAS.get(top, path.stem)
        if not allowed:
            found.append(name)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    """A room imports only the rooms that the table allows; only the door knows typer and rich."""
    if room(path) not in {"__init__", "__main__"}:
        assert not forbidden(path, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from eventbridge_cli import run", "eventbridge_cli.run"),
        ("from eventbridge_cli import __version__, Intake", "eventbridge_cli.Intake"),
        ("from eventbridge_cli import *", "eventbridge_cli.*"),
        ("import eventbridge_cli", "eventbridge_cli"),
        ("import eventbridge_cli.delivery.oauth as flow", "eventbridge_cli.delivery.oauth"),
        ("from eventbridge_cli.delivery import oauth", "eventbridge_cli.delivery.oauth"),
        ("from .. import doctor, flow", "eventbridge_cli.doctor"),
        ("from ..delivery.oauth import GenesysAuth", "eventbridge_cli.delivery.oauth.GenesysAuth"),
        ("def later():\n    from ..run import Job", "eventbridge_cli.run.Job"),
        ("from rich import print", "rich.print"),
        ("import pyarrow.parquet", "pyarrow.parquet"),
        ("from . import read\nfrom .cut import Cutter\nfrom ..flow import Event\nimport json", None),
    ],
)
def test_no_import_passes_unseen(source: str, found: str | None) -> None:
    """However an import is written, it is seen; here as if the intake had it."""
    assert forbidden(PACKAGE / "intake" / "cut.py", source) == ([found] if found else [])


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that a command has loaded when it ends."""
    code = (
        "import sys\n"
        "from eventbridge_cli.__main__ import main\n"
        f"sys.argv = ['ebingest', *{list(arguments)!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "loaded = [n for n, module in sys.modules.items() if module]\n"
        "names = {n for n in loaded if n.startswith('eventbridge_cli')} | {n.split('.')[0] for n in loaded}\n"
        "sys.stderr.write('LOADED ' + ' '.join(names))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, input='{"a": 1}\n')
    return set(run.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize(
    "arguments", [("validate", "-"), ("dedupe", "-"), ("ingest", "--dry-run", "-")], ids=lambda a: a[0]
)
def test_offline_commands_load_no_network(arguments: tuple[str, ...]) -> None:
    """validate, dedupe and a dry run load neither httpx nor the sandbox nor the delivery room."""
    loaded = loaded_by(*arguments)
    assert "eventbridge_cli.intake.validate" in loaded
    assert (
        not {
            "httpx",
            "starlette",
            "uvicorn",
            "matplotlib",
            "jinja2",
            "eventbridge_cli.delivery",
            "eventbridge_cli.sandbox",
        }
        & loaded
    )


def test_version_loads_next_to_nothing() -> None:
    """--version loads neither pydantic nor httpx."""
    assert not {"pydantic", "httpx", "starlette"} & loaded_by("--version")


def test_help_loads_no_charts() -> None:
    """`report --help` loads neither the charts nor what draws them."""
    assert not {"matplotlib", "jinja2", "eventbridge_cli.report"} & loaded_by("report", "--help")


def test_public_names() -> None:
    """Every public name can be imported from the package and is the thing of that name."""
    for name in eventbridge_cli.__all__:
        assert getattr(eventbridge_cli, name).__name__ == name
    tutorial = {"GenesysAuth", "EventBridgeEvent", "RoutingMetadata", "EventBatch", "DeduplicationCache"}
    assert tutorial | {"EventBridgeIngester", "AuditLogger"} <= set(eventbridge_cli.__all__)
    with pytest.raises(AttributeError):
        _ = eventbridge_cli.nothing_of_that_name


@pytest.mark.parametrize("name", ["AuditLogger", "DeduplicationCache", "EventBridgeIngester", "GenesysAuth", "Intake"])
def test_what_public_classes_take_is_public(name: str) -> None:
    """Whatever class of ours may be given to one of them has a public name itself."""
    kind = getattr(eventbridge_cli, name)
    hints = get_type_hints(kind if issubclass(kind, Struct) else kind.__init__)
    taken = {each for hint in hints.values() for each in (hint, *get_args(hint)) if isinstance(each, type)}
    ours = {each.__name__ for each in taken if each.__module__.startswith("eventbridge_cli.") and not is_protocol(each)}
    assert ours <= set(eventbridge_cli.__all__)


def is_protocol(kind: type) -> bool:
    return Protocol in kind.__bases__


def test_env_example_names_every_setting() -> None:
    """.env.example has each setting once, with the description and default of the settings, and no other."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    found = dict(re.findall(r"^# (.*)\n#?([A-Z_]+)=.*$", text, re.MULTILINE))
    assert {name: description for description, name in found.items()} == settings.variables()
    defaults = dict(re.findall(r"^#(EBINGEST_[A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert {name: value for name, value in defaults.items() if value} == {
        f"EBINGEST_{field.name.upper()}": default_text(field.default)
        for field in fields(settings.Settings)
        if not field.metadata["names"] and field.default not in (None, ())
    }


def commands() -> dict[str, Any]:
    """All commands, as typer makes them."""
    group = typer.main.get_command(app)
    context = typer.Context(group)
    return {name: group.get_command(context, name) for name in group.list_commands(context)}  # type: ignore[attr-defined]


def default_text(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return ",".join(value) if isinstance(value, tuple) else str(value)


def test_help_shows_the_settings_defaults() -> None:
    """Where an option stands for a setting, --help shows that setting's default and its variable."""
    seen, every = 0, {field.name: field for field in fields(settings.Settings)}
    for command in commands().values():
        for parameter in command.params:
            help_text = getattr(parameter, "help", None) or ""
            if "[env: " not in help_text:
                continue
            seen, field = seen + 1, every[parameter.name]
            assert f"EBINGEST_{parameter.name.upper()}]" in help_text
            if field.default is not None:
                shown = parameter.show_default and parameter.show_default.replace(", ", ",")
                assert shown == (default_text(field.default) or False)
    assert seen > 20


def test_the_error_tree_is_whole() -> None:
    """The tree in errors' docstring has every error of the module, with its exit code."""
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d+)", errors.__doc__ or ""))
    tree = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.EbingestError)
    }
    tree.pop("EbingestError")
    assert set(drawn) == set(tree)
    tree.pop("InterruptedRunError")  # its code is the signal's
    assert {name: str(kind.exit_code) for name, kind in tree.items()} == {name: drawn[name] for name in tree}


def test_every_exit_code_is_told() -> None:
    """The README's table and the tool's help have each exit code, and no other; each has a meaning of its own."""
    table = README.partition("| exit | means |")[2].partition("\n\n")[0]
    codes = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(",")}
    assert codes == set(errors.ExitCode)
    told = (door.ebingest.__doc__ or "").partition("Exit codes")[2]
    unusual = errors.ExitCode.BROKEN_PIPE
    assert {int(code) for code in re.findall(r"\b(\d+)(?:, |  )", told)} == codes - {unusual}
    assert len({code.meaning for code in errors.ExitCode}) == len(errors.ExitCode)


README = (ROOT / "README.md").read_text(encoding="utf-8")


def told_of(command: str) -> str:
    """What the README says of a command: its own section, and the paragraphs before all of them that name it."""
    chapter = README.partition("\n## Commands\n")[2].partition("\n## ")[0]
    before, *sections = re.split(r"^### ", chapter, flags=re.MULTILINE)
    [own] = [section for section in sections if re.match(rf".*`ebingest {command}\b", section)]
    return "\n\n".join([own, *(text for text in before.split("\n\n") if f"`{command}`" in text)])


def test_the_readme_names_every_command_option_and_variable() -> None:
    """Nobody has to read the code to find an option: each is in the README by its long name, where its command is."""
    every = commands()
    every |= {f"audit {name}": each for name, each in every.pop("audit").commands.items()}
    for name, command in every.items():
        named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", told_of(name)))
        options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
        assert {max(option.opts, key=len) for option in options} <= named | {"--help"}, name
    for variable in settings.variables():
        assert f"`{variable}`" in README


def test_the_readme_names_every_module() -> None:
    """How it is built: each module once, in its room, and none that is not there."""
    drawn = README.partition("\neventbridge_cli/\n")[2].partition("```")[0]
    named, here = [], ""
    for indent, names in re.findall(r"^( {2}| {4})(\w+(?:/|(?: \w+)*))(?: {2}|$)", drawn, re.MULTILINE):
        if names.endswith("/"):
            here = names
        else:
            named += [here * (indent == " " * 4) + name for name in names.split()]
    paths = [path.relative_to(PACKAGE).with_suffix("") for path in PACKAGE.rglob("*.py") if "__" not in path.stem]
    assert sorted(named) == sorted(path.as_posix() for path in paths)


def test_the_two_commands_stand_in_the_readme() -> None:
    """What a newcomer types is there to the letter."""
    sandbox = "pip install -e '.[sandbox]' && ebingest ingest sample_events/interactions.ndjson --sandbox"
    assert f"\n{sandbox}\n" in README
    assert "\npip install -e '.[dev]' && pytest\n" in README


def test_the_library_example_works(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """The README's Python example, run as it stands against a platform, delivers the events."""
    example = README.partition("## As a library")[2].partition("```python\n")[2].partition("```")[0]
    call = f"asyncio.run(main({sandbox.url!r}, {sandbox.client_id!r}, {sandbox.client_secret!r}))"
    (tmp_path / "events.ndjson").write_bytes(lines(250))
    run = subprocess.run(
        [sys.executable, "-c", f"{example}\n\n{call}"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert run.stdout.count("Receipt(") == 3


def test_a_library_s_run_can_be_written_down(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """What the README says beside its example: with a policy, a pace and an audit file."""
    example = README.partition("## As a library")[2].partition("```python\n")[2].partition("```")[0]
    [note] = re.findall(r"`(AuditLogger\(.*\.note)`", README)
    other = example.replace("note=print", f"note={note}, policy=Policy(max_attempts=3), pace=Pace(2)")
    imports = "from pathlib import Path\nfrom eventbridge_cli import AppendedLines, AuditLogger, Pace, Policy"
    imports += "\npath, run = Path('audit.jsonl'), 'run-1'"
    call = f"asyncio.run(main({sandbox.url!r}, {sandbox.client_id!r}, {sandbox.client_secret!r}))"
    (tmp_path / "events.ndjson").write_bytes(lines(250))
    subprocess.run([sys.executable, "-c", f"{imports}\n{other}\n\n{call}"], cwd=tmp_path, check=True)
    facts = [fact["event"] for fact in audit_lines(tmp_path / "audit.jsonl")]
    assert facts.count("INGESTION_SUCCEEDED") == 3
