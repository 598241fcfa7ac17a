"""What a detector around another one hands on, and what it says for itself."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from facebench.detectors import Detections, Detector, DetectorInfo, RGBImage
from facebench.detectors.resized import ResizedDetector, sizes_seen
from facebench.detectors.setting import ThresholdedDetector
from facebench.errors import ContractError, UsageError


class Inner(Detector):
    """Answers everything otherwise than `Detector` does by default."""

    info = DetectorInfo("inner", "test", "tests", "MIT", "probability", ("cpu", "cuda"), False, (), "none", 0.6, 0.1)

    def __init__(self) -> None:
        super().__init__(device="cuda", threads=3, score_floor=0.2)
        self.closed = 0
        self.seen: list[tuple[int, ...]] = []

    def detect(self, image: RGBImage) -> Detections:
        self.seen.append(image.shape)
        return Detections.from_arrays([[10, 20, 30, 40], [0, 0, 8, 8]], [0.9, 0.3])

    def device_used(self) -> Any:
        return "cuda"

    def threads_used(self) -> int | None:
        return 7

    def device_memory_mb(self) -> float | None:
        return 12.5

    def close(self) -> None:
        self.closed += 1


WRAPPERS = [
    pytest.param(lambda inner: ResizedDetector(inner, "long=320"), 0.6, 0.2, id="resized"),
    pytest.param(lambda inner: ThresholdedDetector(inner, 0.5), 0.5, 0.5, id="cut off above its floor"),
    pytest.param(lambda inner: ThresholdedDetector(inner, 0.15), 0.15, 0.2, id="cut off below its floor"),
]


@pytest.mark.parametrize(("wrap", "threshold", "floor"), WRAPPERS)
def test_the_wrapped_detector_answers(wrap: Any, threshold: float, floor: float) -> None:
    inner = Inner()
    outer = wrap(inner)
    assert (outer.info, outer.clock) == (inner.info, inner.clock)
    assert (outer.device, outer.threads) == ("cuda", 3)
    assert (outer.device_used(), outer.threads_used(), outer.device_memory_mb()) == ("cuda", 7, 12.5)
    assert (outer.operating_threshold, outer.score_floor) == (threshold, floor)
    outer.close()
    assert inner.closed == 1


@pytest.mark.parametrize(
    ("size", "seen", "factor"),
    [
        ("original", (480, 640, 3), 1),
        ("long=640", (480, 640, 3), 1),
        ("long=320", (240, 320, 3), 2),
        ("square=640", (640, 640, 3), 1),
        ("square=320", (320, 320, 3), 2),
    ],
)
def test_boxes_come_back_in_pixels_of_the_image_given(size: str, seen: tuple[int, ...], factor: int) -> None:
    inner = Inner()
    found = ResizedDetector(inner, size).detect(np.zeros((480, 640, 3), np.uint8))
    assert inner.seen == [seen]
    np.testing.assert_allclose(found.boxes, factor * np.array([[10, 20, 30, 40], [0, 0, 8, 8]]))


def test_a_size_that_is_no_size_is_refused() -> None:
    with pytest.raises(UsageError, match="expected original"):
        ResizedDetector(Inner(), "640")


class SeesByWidth(Inner):
    """Answers by the width of what it is shown: width -> boxes with their scores."""

    answers: ClassVar[dict[int, list[tuple[list[float], float]]]] = {
        1000: [([100, 100, 160, 160], 0.6), ([400, 0, 440, 40], 0.9)],
        100: [([10, 10, 40, 40], 0.8), ([60, 0, 84, 24], 0.7), ([40, 0, 44, 4], 0.95), ([61, 1, 84, 24], 0.5)],
    }

    def detect(self, image: RGBImage) -> Detections:
        self.seen.append(image.shape)
        rows = self.answers[image.shape[1]]
        return Detections.from_arrays([box for box, _ in rows], [score for _, score in rows])


@pytest.mark.parametrize(
    ("size", "scores"),
    [
        ("original", [0.9, 0.6]),
        ("long=100", [0.95, 0.8, 0.7, 0.5]),
        # of the copy: not the face of 4 px there; not the one that overlaps a better one; both faces of 24 px and more
        ("original+long=100", [0.9, 0.8, 0.7, 0.6]),
        # a copy that is not smaller is not made
        ("original+long=2000", [0.9, 0.6]),
        ("long=100+original", [0.95, 0.8, 0.7, 0.5]),
    ],
)
def test_what_several_sizes_find_is_merged(size: str, scores: list[float]) -> None:
    found = ResizedDetector(SeesByWidth(), size).detect(np.zeros((500, 1000, 3), np.uint8))
    np.testing.assert_allclose(found.scores, scores)
    if size == "original+long=100":
        np.testing.assert_allclose(found.boxes[1], [100, 100, 400, 400])


@pytest.mark.parametrize("size", ["original+", "original+original", "long=320+long=320", "original + long=320", "+"])
def test_several_sizes_written_wrongly_are_refused(size: str) -> None:
    with pytest.raises(UsageError, match="expected"):
        ResizedDetector(Inner(), size)


def test_margins_below_zero_and_landmarks_are_merged_too() -> None:
    class Margins(Inner):
        def detect(self, image: RGBImage) -> Detections:
            side = image.shape[1]
            points = np.full((2, 5, 2), side / 2)
            return Detections.from_arrays([[0, 0, side / 2, side / 2], [side / 2, 0, side, side / 2]], [-1, -2], points)

    found = ResizedDetector(Margins(), "original+long=100").detect(np.zeros((400, 400, 3), np.uint8))
    np.testing.assert_allclose(found.scores, [-1, -2])
    np.testing.assert_allclose(found.landmarks, np.full((2, 5, 2), 200))


class SeesGrey(Inner):
    """Finds a box as large as the image's first pixel is bright, and notes the batches that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.together: list[int] = []

    def detect(self, image: RGBImage) -> Detections:
        grey = float(image[0, 0, 0])
        return Detections.from_arrays([[0, 0, grey, grey], [grey, 0, 3 * grey, 2 * grey]], [0.9, 0.3])

    def detect_batch(self, images: Any) -> list[Detections]:
        self.together.append(len(images))
        return [self.detect(image) for image in images]


GREYS = [(grey, (480, 640)) for grey in (30, 40)] + [(50, (320, 320)), (60, (640, 480)), (70, (100, 100))]
"""Grey level, and height and width."""


@pytest.mark.parametrize(
    ("wrap", "together"),
    [
        (lambda inner: ThresholdedDetector(inner, 0.5), 5),
        (lambda inner: ResizedDetector(inner, "long=320"), 5),
        # the image of 320 px and the one of 100 px have no smaller copy
        (lambda inner: ResizedDetector(inner, "original+long=320"), 8),
        (lambda inner: ThresholdedDetector(ResizedDetector(inner, "original+long=320"), 0.5), 8),
    ],
)
def test_a_batch_is_handed_on_whole_and_answered_as_one_by_one(wrap: Any, together: int) -> None:
    inner = SeesGrey()
    outer = wrap(inner)
    images = [np.full((*size, 3), grey, np.uint8) for grey, size in GREYS]
    found = outer.detect_batch(images)
    assert inner.together == [together]
    assert [len(one) for one in found] == [len(outer.detect(image)) for image in images]
    for one, image in zip(found, images, strict=True):
        np.testing.assert_array_equal(one.boxes, outer.detect(image).boxes)
    assert outer.detect_batch([]) == []
    assert outer.batches()
    assert not wrap(Inner()).batches()


def test_a_batch_of_the_wrong_length_or_kind_is_refused() -> None:
    class Drops(SeesGrey):
        def detect_batch(self, images: Any) -> list[Detections]:
            return super().detect_batch(images[:-1])

    class Lists(SeesGrey):
        def detect_batch(self, images: Any) -> Any:
            return [[0, 0, 1, 1] for _ in images]

    images = [np.zeros((8, 8, 3), np.uint8)] * 3
    with pytest.raises(ContractError, match="detect_batch must return a result for each of 3 images, got 2"):
        ThresholdedDetector(Drops(), 0.5).detect_batch(images)
    with pytest.raises(ContractError, match=r"detect_batch must return facebench\.Detections, got list"):
        ThresholdedDetector(Lists(), 0.5).detect_batch(images)
    with pytest.raises(UsageError):
        ThresholdedDetector(SeesGrey(), 0.5).detect_batch([*images, np.zeros((8, 8), np.uint8)])


@pytest.mark.parametrize(("height", "width"), [(300, 600), (600, 300), (600, 600), (90, 150)])
def test_a_square_holds_the_image_at_its_corner_and_grey_beside_it(height: int, width: int) -> None:
    given: list[RGBImage] = []

    class Keeps(Inner):
        def detect(self, image: RGBImage) -> Detections:
            given.append(image)
            return super().detect(image)

    image = np.full((height, width, 3), 9, np.uint8)
    ResizedDetector(Keeps(), "square=300").detect(image)
    ((square),) = given
    rows, columns = 300 * height // max(height, width), 300 * width // max(height, width)
    assert square.shape == (300, 300, 3)
    assert (square[:rows, :columns] == 9).all()
    assert (square[rows:] == 114).all() and (square[:, columns:] == 114).all()
    assert (image == 9).all()
    assert sizes_seen("square=300", height, width) == ((300, 300),)
