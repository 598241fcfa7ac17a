"""Figures of a report as SVG text, made with seaborn and without any global state.

The SVG is meant to stand inside an HTML page: what is drawn in ink follows the page's text colour, so one figure serves
light and dark, and no style attribute is left, so a strict content security policy lets it pass.
"""

from __future__ import annotations

import io
import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..benchmarks.summary import Row, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK = "#010203"
"""Stands for the page's text colour until the SVG is finished."""
_MARKERS = "osD^vPXphd<>"
_MARKER_PX = 7.0

Rect = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the drawing, y upwards."""


@dataclass(frozen=True, slots=True)
class Point:
    """One detector in the accuracy-latency plane.

    Attributes:
        label: see `row_label`.
        family: the kind of method.
        p50_ms: median latency.
        p90_ms: 90th percentile.
        ap: exact AP on the run's primary list.
    """

    label: str
    family: str
    p50_ms: float
    p90_ms: float
    ap: float


def row_label(row: Row) -> str:
    """Name a row: the spec, with device and threads where they are not one CPU thread."""
    cell = row.cell
    parts = [str(cell["spec"])]
    if cell["device"] != "cpu":
        parts.append(str(cell["device"]))
    if cell["threads"] != 1:
        parts.append(f"{cell['threads']} threads")
    return ", ".join(parts)


def points(summary: Summary) -> list[Point]:
    """Return the rows that can be drawn: finished, with an AP and a latency, best first."""
    found = []
    for row in summary.rows:
        ap = row.exact_ap(summary.primary)
        if row.latency is not None and math.isfinite(ap) and math.isfinite(row.latency.p50_ms):
            family = str(row.cell["info"]["family"])
            found.append(Point(row_label(row), family, row.latency.p50_ms, row.latency.p90_ms, ap))
    return found


def pareto_front(candidates: Sequence[Point]) -> list[Point]:
    """Return the points that no other beats in p50 and AP at once, fastest first; of equal ones the first."""
    front: list[Point] = []
    for point in sorted(candidates, key=lambda point: (point.p50_ms, -point.ap)):
        if not front or point.ap > front[-1].ap:
            front.append(point)
    return front


def accuracy_against_latency(summary: Summary, width_px: int = 900) -> str:
    """Draw exact AP on the primary list against p50, with a bar to p90 and the Pareto front.

    Args:
        summary: a scored run with at least one point.
        width_px: width of the drawing; text keeps its size.

    Returns:
        SVG text, the same for the same summary.
    """
    import matplotlib as mpl
    import seaborn as sns
    from matplotlib.figure import Figure

    drawn = points(summary)
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
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), _INK
        ),
    }
    with sns.axes_style("whitegrid"), mpl.rc_context(style):
        figure = Figure((width_px / 72, max(430, width_px * 0.58) / 72), dpi=72, facecolor="none", layout="constrained")
        axes = figure.subplots()
        _draw_points(axes, drawn)
        axes.set_xlabel("p50 of one detect call, ms")
        axes.set_ylabel(f"exact AP, {summary.primary}")
        sns.despine(ax=axes)
        figure.legend(loc="outside lower left", ncols=max(1, width_px // 180), frameon=False, fontsize=11)
        _label_points(figure, axes, drawn)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return for_page(text.getvalue(), f"Exact AP ({summary.primary}) against p50 latency of {len(drawn)} detectors")


def _draw_points(axes: Axes, drawn: Sequence[Point]) -> None:
    import seaborn as sns
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    speed, ap = [point.p50_ms for point in drawn], [point.ap for point in drawn]
    slowest = max(max(point.p50_ms, point.p90_ms) for point in drawn)
    axes.set_xscale("log")
    axes.set_xlim(min(speed) / 1.6, slowest * 1.6)
    axes.set_ylim(max(-0.03, min(ap) - 0.08), min(1.03, max(ap) + 0.06))
    roomy = axes.bbox.width / math.log10(slowest * 2.56 / min(speed)) > 200
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if roomy else (1, 3)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    front = pareto_front(drawn)
    steps = [(point.p50_ms, point.ap) for point in front] + [(slowest * 1.6, front[-1].ap)]
    families = sorted({point.family for point in drawn})
    palette = dict(zip(families, sns.color_palette("colorblind", len(families)), strict=True))
    for point in drawn:
        axes.plot(
            [point.p50_ms, point.p90_ms], [point.ap] * 2, color=palette[point.family], lw=1.5, alpha=0.7, zorder=2
        )
    sns.scatterplot(
        x=speed,
        y=ap,
        hue=(names := [point.family for point in drawn]),
        style=names,
        hue_order=families,
        style_order=families,
        palette=palette,
        markers={family: _MARKERS[place % len(_MARKERS)] for place, family in enumerate(families)},
        s=_MARKER_PX**2 * 1.6,
        edgecolor=_INK,
        linewidth=0.7,
        ax=axes,
        zorder=3,
    )
    axes.plot([], [], color=_INK, lw=1.5, alpha=0.7, label="bar: p50 to p90")
    steps_x, steps_y = zip(*steps, strict=True)
    dashed: dict[str, Any] = {"color": _INK, "alpha": 0.5, "lw": 1.2, "ls": (0, (4, 3))}
    axes.plot(steps_x, steps_y, drawstyle="steps-post", zorder=1, label="Pareto front", **dashed)
    legend = axes.get_legend()
    if legend is not None:
        legend.remove()


def _label_points(figure: Figure, axes: Axes, drawn: Sequence[Point]) -> None:
    """Write each point's name beside it, with a thin line where it had to move away."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    labels = [_fold(point.label) for point in drawn]
    texts = [axes.text(0, 0, label, fontsize=11, transform=None) for label in labels]
    extents = [text.get_window_extent(renderer) for text in texts]
    for text in texts:
        text.remove()

    def to_px(ms: float, ap: float) -> tuple[float, float]:
        x, y = axes.transData.transform((ms, ap))
        return float(x), float(y)

    anchors = [to_px(point.p50_ms, point.ap) for point in drawn]
    bars = [(*anchor, *to_px(point.p90_ms, point.ap)) for anchor, point in zip(anchors, drawn, strict=True)]
    box = axes.get_window_extent(renderer)
    frame = (box.x0, box.y0, box.x1, box.y1)
    placed = place_labels(anchors, [(extent.width, extent.height) for extent in extents], bars, frame)
    for label, anchor, (left, bottom, right, top) in zip(labels, anchors, placed, strict=True):
        nearest = min(max(anchor[0], left), right), min(max(anchor[1], bottom), top)
        away = math.dist(anchor, nearest) > 2 * _MARKER_PX
        axes.annotate(
            label,
            anchor,
            xytext=(left, (bottom + top) / 2),
            xycoords="figure pixels",
            textcoords="figure pixels",
            va="center",
            fontsize=11,
            arrowprops={"arrowstyle": "-", "color": _INK, "lw": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 4}
            if away
            else None,
        )


def place_labels(
    anchors: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], bars: Sequence[Rect], frame: Rect
) -> list[Rect]:
    """Find a place for every label, as near to its point as it can be without covering anything.

    Greedy: the points in the order given, for each the places around it from near to far, the first free one. Where
    none is free, the one that covers least.

    Args:
        anchors: x, y of each point, pixels.
        sizes: width, height of each label, pixels.
        bars: boxes that labels keep off, such as the bars to p90.
        frame: the box in which labels stay.
    """
    half = _MARKER_PX
    taken: list[Rect] = [(x - half, y - half, x + half, y + half) for x, y in anchors]
    taken += [(x1, y1 - 2, x2, y2 + 2) for x1, y1, x2, y2 in bars]
    placed = []
    for anchor, size in zip(anchors, sizes, strict=True):
        best, least = None, math.inf
        for place in _places(anchor, size):
            covered = sum(_overlap(place, other) for other in taken) + 10 * _outside(place, frame)
            if covered < least:
                best, least = place, covered
            if not covered:
                break
        assert best is not None, "there is always a first place"
        placed.append(best)
        taken.append(best)
    return placed


def _places(anchor: tuple[float, float], size: tuple[float, float]) -> Iterator[Rect]:
    x, y = anchor
    width, height = size
    for distance in (_MARKER_PX + 2, 18, 30, 44, 60, 80, 105):
        for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
            left = x + (distance * right if right > 0 else -width / 2 if right == 0 else -distance - width)
            bottom = y + (distance * up if up > 0 else -height / 2 if up == 0 else -distance - height)
            yield left, bottom, left + width, bottom + height


def _overlap(a: Rect, b: Rect) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _outside(place: Rect, frame: Rect) -> float:
    return (place[2] - place[0]) * (place[3] - place[1]) - _overlap(place, frame)


def _fold(label: str) -> str:
    """Break a long name after the detector and after each parameter."""
    return label if len(label) <= 22 else label.replace(":", ":\n", 1).replace(",", ",\n")


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
            if value == _INK:
                element.attrib[name] = "currentColor"
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": title}
    return ET.tostring(root, encoding="unicode")


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
