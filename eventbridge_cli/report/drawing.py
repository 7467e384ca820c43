"""From a matplotlib figure to SVG that stands in a page: no ids that clash, and the page's own colours and type."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.figure import Figure

_PALETTE = (
    *("page", "ink", "muted", "rule", "flight", "waiting"),
    *("delivered", "duplicate", "rejected", "refused", "pending"),
    *(f"cause-{number}" for number in range(1, 6)),
)
COLORS = {name: f"#0a0b{number:02x}" for number, name in enumerate(_PALETTE, 1)}
"""What is drawn in place of each colour of the palette: a black that nothing else has."""

POINTS = 750
"""Width of every chart in points; the page sets its width on the screen."""

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_MARGIN_LEFT, _MARGIN_RIGHT, _MARGIN_TOP = 46, 6, 12  # points
_NAMES = {placeholder: f"var(--{name})" for name, placeholder in COLORS.items()}
_STYLE: Final[dict[Any, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLORS["rule"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": COLORS["muted"],
    "axes.linewidth": 0.8,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",  # comes with matplotlib; in the page it is the page's own
    "font.size": 8,
    "grid.color": COLORS["rule"],
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "ebingest",
    "text.color": COLORS["ink"],
    "text.parse_math": False,
    "xtick.color": COLORS["rule"],
    "xtick.labelcolor": COLORS["muted"],
    "xtick.major.size": 3,
    "ytick.color": COLORS["rule"],
    "ytick.labelcolor": COLORS["muted"],
    "ytick.major.size": 0,
}


class Canvas:
    """One chart: draw on `axes`, and once the canvas is closed `svg` is there."""

    def __init__(self, height: float, bottom: float) -> None:
        self.svg = ""
        self.figure = Figure(figsize=(POINTS / 72, height / 72))
        self.axes = self.figure.add_axes(
            (
                _MARGIN_LEFT / POINTS,
                bottom / height,
                1 - (_MARGIN_LEFT + _MARGIN_RIGHT) / POINTS,
                1 - (bottom + _MARGIN_TOP) / height,
            )
        )


@contextmanager
def drawn(name: str, title: str, *, height: float = 120, bottom: float = 20) -> Iterator[Canvas]:
    """Draw a chart.

    Args:
        name: sets the ids of this drawing apart from those of the others on a page.
        title: what it shows, for whoever can't see it.
        height: in points.
        bottom: the margin below the axes, in points.
    """
    with mpl.rc_context(_STYLE):
        canvas = Canvas(height, bottom)
        yield canvas
        file = io.StringIO()
        canvas.figure.savefig(file, format="svg", metadata={"Date": None})
    canvas.svg = _at_home(file.getvalue(), name, title)


def _at_home(svg: str, name: str, title: str) -> str:
    """The drawing as a part of a page."""
    root = ET.fromstring(svg)  # noqa: S314 - drawn a moment ago
    for left_out in root.findall(f"{{{_SVG}}}metadata") + root.findall(f"{{{_SVG}}}defs[{{{_SVG}}}style]"):
        root.remove(left_out)
    used = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
    for element in root.iter():
        _rename(element, name, used)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", title)
    heading = ET.Element(f"{{{_SVG}}}title")
    heading.text = title
    root.insert(0, heading)
    ET.register_namespace("", _SVG)
    text = ET.tostring(root, encoding="unicode")
    for placeholder, variable in _NAMES.items():
        text = text.replace(placeholder, variable)
    return text.replace(" font-family: 'DejaVu Sans';", "")


def _rename(element: ET.Element, name: str, used: set[str]) -> None:
    identity = element.attrib.pop("id", None)
    if identity in used:
        element.set("id", f"{name}-{identity}")
    target = element.attrib.pop(f"{{{_XLINK}}}href", None)
    if target is not None:
        element.set("href", f"#{name}-{target.removeprefix('#')}")
    clip = element.get("clip-path")
    if clip is not None:
        element.set("clip-path", clip.replace("#", f"#{name}-"))
