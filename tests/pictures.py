"""Make the README's pictures with the tool's own screen and charts, from a run that was recorded once.

    python tests/pictures.py

`tests/pictures/audit.jsonl` and `summary.json` are the audit file and the summary of a run against the stand-in
platform with faults ordered. The same versions of the drawing libraries give the same bytes.
"""

import io
import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from eventbridge_cli.cli.accounts import show_summary
from eventbridge_cli.cli.screen import Screen
from eventbridge_cli.ledger.summary import Summary
from eventbridge_cli.ledger.timeline import timeline
from eventbridge_cli.report import charts, page, section
from eventbridge_cli.report.drawing import POINTS

FOLDER = Path(__file__).parent / "pictures"
COLUMNS = 78


def terminal() -> str:
    """The summary of the run as the terminal shows it."""
    screen = Screen()
    screen._console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    show_summary(screen, Summary(**json.loads((FOLDER / "summary.json").read_text(encoding="utf-8"))), {})
    screen.say("")  # the last line's descenders would be cut off
    svg = screen._console.export_svg(
        title="ebingest ingest calls.ndjson", theme=SVG_EXPORT_THEME, unique_id="terminal", font_aspect_ratio=0.61
    )
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fetched from elsewhere; monospace will do
    svg = re.sub(r"<!--.*?-->\s*", "", svg)
    return stamped(svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"), "rich")


def report() -> str:
    """The account and the charts of the run, as they stand in the report."""
    found = timeline(FOLDER / "audit.jsonl")
    [run] = found.runs.values()
    assert run.course is not None
    environment = Environment(
        loader=FileSystemLoader([FOLDER, Path(page.__file__).parent]), autoescape=True, undefined=StrictUndefined
    )
    environment.filters |= page.environment().filters
    shown = section.section(run, run.course, "picture")
    svg = environment.get_template("report.svg.jinja").render(
        run=run, section=shown, outcomes=charts.OUTCOMES, ending=section.ending(run), width=POINTS
    )
    return stamped(svg, "matplotlib")


def stamped(svg: str, library: str) -> str:
    """A picture that says what drew it."""
    return f"<!-- Made by tests/pictures.py with {library} {version(library)}. -->\n{svg.strip()}\n"


def stamp(svg: str) -> str:
    """What drew a picture."""
    return svg.partition("\n")[0]


def words(svg: str) -> list[str]:
    """All that can be read in a picture."""
    drawing = ET.fromstring(svg)  # noqa: S314 - our own
    texts = (element for element in drawing.iter() if element.tag.endswith("text"))
    return ["".join(text.itertext()) for text in texts]


PICTURES: dict[str, Callable[[], str]] = {"terminal.svg": terminal, "report.svg": report}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
        print(f"{FOLDER / name} written")
