"""Two detectors timed turn by turn in one job, with the first of them a second time beside them.

On shared machines the same program differs by tenths of a percent within a job and by tens of percent between jobs, so
versions are compared within one job. Each round starts three fresh children, because two processes of the same code
differ too, by where their memory happens to lie: the base, the head, and the base again. Every image then goes to all
three and back (A B C C B A), beginning with another child each time: a drift of the machine is shared by all. What the
two children of the base show against each other is the noise that a difference must rise above. Times are taken at each
detector's threshold, as it is used; detections below it, for curves, come from a pass of their own before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...detectors import Detections, Device
from ...errors import UsageError, WorkerError
from ..store.records import Start
from .detector_process import DetectorProcess, Limits
from .images import Images
from .timed_rounds import WARM_UP_CALLS

_ORDERS = tuple(permutations(range(3)))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison.

    Attributes:
        spec: spec string of the detector.
        python: interpreter of another environment in which facebench and the detector are installed; None for this one.
    """

    spec: str
    python: Path | None = None

    @property
    def label(self) -> str:
        """The spec, with the environment where it is another one."""
        return self.spec if self.python is None else f"{self.spec} ({self.python})"


class RoundObserver(Protocol):
    """What an interleaved measurement tells about its progress."""

    def image_done(self, done: int, total: int) -> None:
        """So many images of all rounds have been timed on all children."""


@dataclass(frozen=True, slots=True, eq=False)
class Interleaved:
    """What was measured.

    Attributes:
        base: one side.
        head: the other.
        image_ids: images, in order.
        base_ms: float64 (rounds, images), milliseconds: the geometric mean of the two calls; nan where one failed.
        head_ms: the same of the head.
        again_ms: the same of the second child of the base.
        base_detections: down to the score floor; None where the call failed.
        head_detections: the same of the head.
        base_start: of the base's first child.
        head_start: of the head's first child.
        failures: "base", "again" or "head" -> image -> what was raised.
    """

    base: Side
    head: Side
    image_ids: Sequence[str]
    base_ms: NDArray[np.float64]
    head_ms: NDArray[np.float64]
    again_ms: NDArray[np.float64]
    base_detections: Sequence[Detections | None]
    head_detections: Sequence[Detections | None]
    base_start: Start
    head_start: Start
    failures: dict[str, dict[str, str]]


def interleave(
    base: Side,
    head: Side,
    image_ids: Sequence[str],
    images: Images,
    *,
    rounds: int = 5,
    device: Device = "cpu",
    threads: int = 1,
    size: str = "original",
    score_floors: tuple[float | None, float | None] = (None, None),
    limits: Limits | None = None,
    observer: RoundObserver | None = None,
) -> Interleaved:
    """Measure two sides turn by turn.

    Args:
        base: one side.
        head: the other.
        image_ids: images to use.
        images: where they come from.
        rounds: how often three fresh children are started.
        device: "cpu" or "cuda".
        threads: CPU threads of each child; all are pinned to the same cores, and one works at a time.
        size: `Protocol.size`.
        score_floors: of the detections of base and head; None for the detector's operating threshold.
        limits: time and memory of each child.
        observer: is told of the progress.

    Raises:
        UsageError: no rounds or no images.
        WorkerError: a child cannot be loaded, or its times would be invalid, or it died; this is not a result.
    """
    if rounds < 1 or not image_ids:
        raise UsageError(f"got {rounds} rounds of {len(image_ids)} images, expected at least one of each")
    sides = (("base", base), ("head", head), ("again", base))
    logs = np.full((3, 2, rounds, len(image_ids)), np.nan)
    found: list[list[Detections | None]] = [[None] * len(image_ids) for _ in sides]
    failures: dict[str, dict[str, str]] = {name: {} for name, _ in sides}
    starts: list[Start] = []
    options: dict[str, Any] = {"device": device, "threads": threads, "size": size, "limits": limits}
    floors: list[float | None] = [None, None]
    for which, ((name, side), floor) in enumerate(zip(sides, score_floors, strict=False)):
        if floor is not None:
            with DetectorProcess(side.spec, score_floor=floor, python=side.python, **options) as child:
                floors[which] = _find_below(child, name, side, image_ids, images, found[which], failures[name])
    for number in range(rounds):
        with ExitStack() as stack:
            children = []
            for name, side in sides:
                child = DetectorProcess(side.spec, python=side.python, **options)
                children.append(stack.enter_context(child))
                starts.append(_start(child, name, side, images.get(image_ids[0])))
            for place, image_id in enumerate(image_ids):
                image = images.get(image_id)
                order = _ORDERS[(number * len(image_ids) + place) % len(_ORDERS)]
                for turn, which in _there_and_back(order):
                    try:
                        answer = children[which].detect(image)
                    except WorkerError as error:
                        if not children[which].running:
                            raise
                        failures[sides[which][0]][image_id] = str(error)
                        continue
                    logs[which, turn, number, place] = np.log(answer.detect_ms)
                    if number == 0 and (which > 1 or floors[which] is None):
                        found[which][place] = answer.detections
                if observer is not None:
                    observer.image_done(number * len(image_ids) + place + 1, rounds * len(image_ids))
    base_ms, head_ms, again_ms = np.exp(logs.mean(axis=1))
    base_start, head_start = (
        start if floor is None else replace(start, score_floor=floor)
        for start, floor in zip(starts[:2], floors, strict=True)
    )
    return Interleaved(
        base, head, list(image_ids), base_ms, head_ms, again_ms, found[0], found[1], base_start, head_start, failures
    )


def _find_below(
    child: DetectorProcess,
    name: str,
    side: Side,
    image_ids: Sequence[str],
    images: Images,
    found: list[Detections | None],
    failures: dict[str, str],
) -> float | None:
    """Fill in what a side finds down to its floor; return that floor, None where it is the threshold anyway."""
    try:
        start = child.start()
    except WorkerError as error:
        raise type(error)(f"{name} ({side.label}): {error}") from None
    if start.score_floor >= start.operating_threshold:
        return None
    for place, image_id in enumerate(image_ids):
        try:
            found[place] = child.detect(images.get(image_id)).detections
        except WorkerError as error:
            if not child.running:
                raise
            failures[image_id] = str(error)
    return start.score_floor


def _there_and_back(order: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (turn, child): all children, then all in reverse."""
    for turn, children in enumerate((order, order[::-1])):
        for child in children:
            yield turn, child


def _start(child: DetectorProcess, name: str, side: Side, image: NDArray[np.uint8]) -> Start:
    """Start and warm a child; refuse one whose times would be invalid."""
    try:
        start = child.start()
        for _ in range(WARM_UP_CALLS):
            child.detect(image)
        problems: list[Any] = child.check(image).problems
    except WorkerError as error:
        raise type(error)(f"{name} ({side.label}): {error}") from None
    if problems:
        raise WorkerError(f"{name} ({side.label}): its times would be invalid: {'; '.join(problems)}")
    return start
