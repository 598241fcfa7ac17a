"""Images with boxes, on which the detectors differ most."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.analysis.table import Summary
from ...benchmarks.measure.previews import Outcomes, Preview, judge, read_preview, read_previews
from ..values.numbers import row_label, threshold
from .base import Page, Section

ORDER = 165


@dataclass(frozen=True, slots=True)
class Layer:
    """What one detector did on one image, as SVG path data in preview pixels.

    Attributes:
        hits: boxes on a face.
        false_alarms: boxes on no face, and second boxes on a face.
        dropped: boxes on a face to be ignored.
        found: the faces hit.
        missed: the faces not hit.
        faces_missed: how many.
        alarms: how many false alarms.
        text: the same in numbers.
    """

    hits: str
    false_alarms: str
    dropped: str
    found: str
    missed: str
    faces_missed: int
    alarms: int
    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """One preview.

    Attributes:
        image_id: the image's name in its data set.
        source: the JPEG as a data URI.
        width: pixels.
        height: pixels.
        ignored: the faces that are neither to be found nor background, as SVG path data.
        layers: what each finished detector did, in the order of `Gallery.labels`.
        differs: whether the detectors do not all find the same faces of it.
    """

    image_id: str
    source: str
    width: int
    height: int
    ignored: str
    layers: Sequence[Layer]
    differs: bool


@dataclass(frozen=True, slots=True)
class Gallery:
    """The previews of a run.

    Attributes:
        labels: the finished detectors, best first, each with the threshold its boxes are shown at.
        images: most telling first; empty where the run holds no previews.
    """

    labels: Sequence[str]
    images: Sequence[Image]


def section(page: Page) -> Section | None:
    """Show the images on which the detectors differ most; None where the run holds none."""
    shown = gallery(page.summary) if page.images else Gallery([], [])
    if page.images and not shown.images:
        return None
    values = {"gallery": shown, "with_images": page.images}
    return Section("gallery", "gallery.html.j2", values, "images" if shown.images else "")


def gallery(summary: Summary) -> Gallery:
    """Read the previews of a run and lay out the boxes of its finished detectors on them.

    Raises:
        ResultsError: the index or an image is missing or damaged.
    """
    truth = summary.reader.truth
    place_of = {image_id: place for place, image_id in enumerate(truth.image_ids)}
    previews = [preview for preview in read_previews(summary.run) if preview.image_id in place_of]
    rows = [row for row in summary.rows if row.done]
    if not previews or not rows:
        return Gallery([], [])
    outcomes = [judge(truth, summary.reader.matched(row.cell)) for row in rows]
    images = []
    for preview in previews:
        place = place_of[preview.image_id]
        start, stop = truth.faces.offsets[place : place + 2]
        faces, counted = truth.faces.boxes[start:stop], truth.masks["overall"][start:stop]
        images.append(
            Image(
                image_id=preview.image_id,
                source=data_uri(read_preview(summary.run, preview)),
                width=preview.width,
                height=preview.height,
                ignored=box_path(faces[~counted], preview.scale),
                layers=[_layer(outcome, place, preview) for outcome in outcomes],
                differs=len({outcome.found[start:stop][counted].tobytes() for outcome in outcomes}) > 1,
            )
        )
    return Gallery([f"{row_label(row)} ({threshold(row)})" for row in rows], images)


def _layer(outcome: Outcomes, place: int, preview: Preview) -> Layer:
    here = outcome.image == place
    hit, false_alarm = here & outcome.hit, here & outcome.false_alarm
    to_find = (outcome.faces.image == place) & outcome.counted
    missed, alarms = to_find & ~outcome.found, int(false_alarm.sum())
    found = f"{int(hit.sum())} of {int(to_find.sum())} faces found" if to_find.any() else "no face to be found"
    return Layer(
        hits=box_path(outcome.boxes[hit], preview.scale),
        false_alarms=box_path(outcome.boxes[false_alarm], preview.scale),
        dropped=box_path(outcome.boxes[here & ~hit & ~false_alarm], preview.scale),
        found=box_path(outcome.faces.boxes[to_find & outcome.found], preview.scale),
        missed=box_path(outcome.faces.boxes[missed], preview.scale),
        faces_missed=int(missed.sum()),
        alarms=alarms,
        text=f"{found}, {alarms} false alarm{'' if alarms == 1 else 's'}",
    )


def box_path(boxes: NDArray[np.float64], scale: float) -> str:
    """Return boxes as SVG path data, to a tenth of a pixel.

    >>> box_path(np.array([[0.0, 10.0, 20.06, 40.0]]), 0.5)
    'M0 5h10v15h-10z'
    """
    corners = np.round(boxes * scale, 1)
    return "".join(
        f"M{x1:.10g} {y1:.10g}h{round(x2 - x1, 1):.10g}v{round(y2 - y1, 1):.10g}h{round(x1 - x2, 1):.10g}z"
        for x1, y1, x2, y2 in corners.tolist()
    )


def data_uri(jpeg: bytes) -> str:
    """Return a JPEG file as a data URI."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
