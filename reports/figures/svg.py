"""Drawings as SVG text, made with seaborn and without any global state.

The SVG is meant to stand inside an HTML page: what is drawn in ink follows the page's text colour, so one figure serves
light and dark, and no style attribute is left, so a strict content security policy lets it pass.
"""

from __future__ import annotations

import hashlib
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

WIDTHS_PX = {"wide": 900, "narrow": 380}
INK = "#010203"
"""Stands for the page's text colour until the SVG is finished."""


def draw(
    paint: Callable[[Figure], None],
    *,
    width_px: int,
    height_px: float,
    title: str,
    layout: Literal["constrained"] | None = "constrained",
) -> str:
    """Let `paint` fill an empty figure and return it as SVG text, the same for the same painting.

    Args:
        paint: called once, within the style of all figures.
        width_px: width of the drawing; text keeps its size.
        height_px: its height.
        title: what is read out instead of the drawing.
        layout: None where `paint` places its axes itself.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "facebench",
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": 12,
        "axes.facecolor": "none",
        "axes.linewidth": 0.8,
        "grid.alpha": 0.15,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), INK
        ),
    }
    with sns.axes_style("whitegrid"), mpl.rc_context(style):
        figure = Figure((width_px / 72, height_px / 72), dpi=72, facecolor="none", layout=layout)
        paint(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return for_page(text.getvalue(), title)


def for_page(svg: str, title: str) -> str:
    """Make an SVG file fit to stand inside an HTML page with a strict content security policy.

    Style attributes become presentation attributes, fonts and ink those of the page, the size that of the place.
    """
    root = ET.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.rpartition("}")[2] in ("metadata", "style"):
                parent.remove(child)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = dict(element.attrib)
        element.attrib.clear()
        for name, value in attributes.items():
            if name == "style":
                element.attrib.update(_presentation(value))
            elif not (name == "id" and element.tag == "g"):
                element.attrib[name.rpartition("}")[2]] = value
        for name, value in element.attrib.items():
            if value == INK:
                element.attrib[name] = "currentColor"
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": title}
    _name_ids(root)
    return ET.tostring(root, encoding="unicode")


def _name_ids(root: ET.Element) -> None:
    """Number the ids in the order in which they stand, after a name made of all that is drawn.

    Matplotlib's own are the same for equal parts of two figures of one page, where a reference finds the first of them,
    even in a figure that is not shown; and those of clip paths can differ from one process to the next.
    """
    numbers = {element.attrib["id"]: str(number) for number, element in enumerate(root.iterfind(".//*[@id]"))}
    _rename_ids(root, numbers)
    name = hashlib.sha256(ET.tostring(root)).hexdigest()[:8]
    _rename_ids(root, {number: f"f{name}-{number}" for number in numbers.values()})


def _rename_ids(root: ET.Element, names: Mapping[str, str]) -> None:
    for element in root.iter():
        for attribute, value in element.attrib.items():
            if attribute == "id":
                element.attrib["id"] = names[value]
            elif attribute == "href":
                element.attrib["href"] = f"#{names[value.removeprefix('#')]}"
            elif value.startswith("url(#"):
                element.attrib[attribute] = f"url(#{names[value[5:-1]]})"


def _presentation(style: str) -> dict[str, str]:
    """Turn "font: 12px 'DejaVu Sans'; fill: #fff" into attributes; the font's family is left to the page."""
    attributes: dict[str, str] = {}
    for declaration in filter(None, (part.strip() for part in style.split(";"))):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name == "font":
            attributes["font-size"] = next(part for part in value.split() if part.endswith("px"))
        else:
            attributes[name] = value
    return attributes


def wide_and_narrow(draw: Callable[[int], str]) -> dict[str, Markup]:
    """Draw a figure once for wide and once for narrow pages.

    Args:
        draw: makes the figure's SVG for a width in pixels.
    """
    from markupsafe import Markup

    return {name: Markup(draw(width)) for name, width in WIDTHS_PX.items()}
