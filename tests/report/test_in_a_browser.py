"""The page in a real browser: light, dark and on paper."""

import shutil
import subprocess
from pathlib import Path

import pytest
from pictures import FOLDER
from PIL import Image

from eventbridge_cli.ledger.timeline import timeline
from eventbridge_cli.report.page import render

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"no browser here: none of {', '.join(NAMES)} is installed")

LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"
DELIVERED = {LIGHT: (0, 128, 94), DARK: (47, 180, 137)}  # as in palette.css
PAGE = {LIGHT: (255, 255, 255), DARK: (20, 24, 28)}


@pytest.fixture
def html(tmp_path: Path) -> Path:
    """The page of a run with faults."""
    path = tmp_path / "report.html"
    path.write_text(render(timeline(FOLDER / "audit.jsonl")), encoding="utf-8")
    return path


def browse(html: Path, *options: str) -> None:
    """Let the browser open a page, and do what the options say."""
    profile = html.parent / "profile"
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}"]
    assert BROWSER is not None
    subprocess.run([BROWSER, *flags, *options, html.as_uri()], capture_output=True, timeout=120, check=True)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_the_page_follows_light_and_dark(html: Path, scheme: str) -> None:
    """The page and its charts have the colours of the scheme that the reader prefers."""
    picture = html.with_suffix(".png")
    browse(html, scheme, "--window-size=1000,1200", f"--screenshot={picture}")
    with Image.open(picture) as image:
        shown = image.convert("RGB")
        assert shown.getpixel((3, 3)) == PAGE[scheme]
        pixels = shown.tobytes()
    assert pixels.count(bytes(DELIVERED[scheme])) > 5_000  # the bar of 600 delivered records


def test_the_page_prints(html: Path) -> None:
    """It comes out of the printer as a document of several pages."""
    document = html.with_suffix(".pdf")
    browse(html, "--no-pdf-header-footer", f"--print-to-pdf={document}")
    data = document.read_bytes()
    assert data.startswith(b"%PDF")
    assert 2 <= data.count(b"/Type /Page\n") <= 6
