"""What a detector around another one hands on, and what it says for itself."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from facebench.detectors import Detections, Detector, DetectorInfo, RGBImage
from facebench.detectors.resized import ResizedDetector, sizes_seen, tile_starts
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


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "starts"),
    [
        (640, 640, 0.2, [0]),
        (639, 640, 0.2, [0]),  # a tile that is larger than the image is the image
        (641, 640, 0.2, [0, 1]),
        (1152, 640, 0.2, [0, 512]),  # a step of 640 - 128: the second tile ends with the image
        (1153, 640, 0.2, [0, 512, 513]),
        (1500, 640, 0.2, [0, 512, 860]),
        (1280, 640, 0.0, [0, 640]),
        (1281, 640, 0.0, [0, 640, 641]),
        (10, 4, 0.75, [0, 1, 2, 3, 4, 5, 6]),
        (3, 1, 0.9, [0, 1, 2]),
    ],
)
def test_where_tiles_begin(length: int, tile: int, overlap: float, starts: list[int]) -> None:
    assert tile_starts(length, tile, overlap) == starts == sahi_starts(length, tile, overlap)


def sahi_starts(length: int, tile: int, overlap: float) -> list[int]:
    """The loop of SAHI's get_slice_bboxes, along one side."""
    starts, begin, end = [], 0, 0
    while end < length:
        end = begin + tile
        starts.append(max(0, min(length, end) - tile) if end > length else begin)
        begin = end - int(overlap * tile)
    return starts


class SeesColour(Inner):
    """Finds the places painted in a bright colour, which is their score, unless one is larger than 100 pixels."""

    def detect(self, image: RGBImage) -> Detections:
        self.seen.append(image.shape)
        boxes, scores = [], []
        for value in np.unique(image[image > 10]):
            rows, columns = np.nonzero(image[..., 0] == value)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            if max(box[2] - box[0], box[3] - box[1]) <= 100:
                boxes.append(box)
                scores.append(value / 255)
        points = np.array(boxes, np.float32).reshape(-1, 1, 4)[..., :2].repeat(5, axis=1)
        return Detections.from_arrays(boxes, scores, points)


def painted(height: int, width: int, faces: dict[int, tuple[int, int, int, int]]) -> RGBImage:
    """A dark image with bright places: brightness -> x1, y1, x2, y2."""
    image = np.zeros((height, width, 3), np.uint8)
    for value, (left, top, right, bottom) in faces.items():
        image[top:bottom, left:right] = value
    return image


FACES = {200: (150, 10, 190, 50), 180: (165, 110, 195, 150), 160: (370, 220, 395, 245)}
"""Tiles of 200 px with 40 px shared: the first face is whole in one, the second in four, the third in the last."""


@pytest.mark.parametrize(
    ("size", "tiles"),
    [("tiles:200", 6), ("tiles:200,overlap=.2", 6), ("tiles:200,overlap=0.2", 6), ("tiles:200,overlap=0", 4)],
)
def test_tiles_find_what_the_image_has_each_face_once(size: str, tiles: int) -> None:
    inner = SeesColour()
    image = painted(250, 400, FACES)
    found = ResizedDetector(inner, size).detect(image)
    assert inner.seen == [(200, 200, 3)] * tiles
    expected = inner.detect(image)
    assert len(expected) == 3
    for one, other in ((found.boxes, expected.boxes), (found.scores, expected.scores)):
        np.testing.assert_allclose(one, other)
    assert found.landmarks is not None
    np.testing.assert_allclose(found.landmarks, expected.landmarks)


@pytest.mark.parametrize(
    ("size", "seen"),
    [
        ("tiles:400", [(250, 400, 3)]),
        ("original+tiles:400", [(250, 400, 3)]),  # the only tile is the image again
        ("tiles:300", [(250, 300, 3), (250, 300, 3)]),
        ("original+tiles:300", [(250, 400, 3), (250, 300, 3), (250, 300, 3)]),
        ("tiles:300+original", [(250, 400, 3), (250, 300, 3), (250, 300, 3)]),
        ("tiles:400+long=200", [(125, 200, 3), (250, 400, 3)]),
        ("long=200+tiles:400", [(125, 200, 3), (250, 400, 3)]),
    ],
)
def test_what_is_shown_with_tiles(size: str, seen: list[tuple[int, ...]]) -> None:
    inner = SeesColour()
    ResizedDetector(inner, size).detect(painted(250, 400, FACES))
    assert inner.seen == seen


def test_tiles_are_one_batch_and_seen_at_one_size() -> None:
    inner = SeesColour()
    images = [painted(250, 400, FACES), painted(200, 400, {})]
    tiled = ResizedDetector(inner, "tiles:200")
    together = tiled.detect_batch(images)
    assert inner.seen == [(200, 200, 3)] * 9
    for one, image in zip(together, images, strict=True):
        np.testing.assert_array_equal(one.boxes, tiled.detect(image).boxes)
    assert set(sizes_seen("tiles:200", 250, 400)) == {(200, 200)}
    assert set(sizes_seen("original+tiles:200", 100, 400)) == {(100, 400), (100, 200)}


def test_the_image_beside_its_tiles() -> None:
    """Each tile has a half of the face, which overlaps the whole by .5 and falls, its score being no better."""
    image = painted(100, 200, {250: (70, 10, 130, 70)})
    alone = ResizedDetector(SeesColour(), "tiles:100,overlap=0").detect(image)
    assert alone.boxes.tolist() == [[70, 10, 100, 70], [100, 10, 130, 70]]
    both = ResizedDetector(SeesColour(), "original+tiles:100,overlap=0").detect(image)
    np.testing.assert_allclose(both.boxes, [[70, 10, 130, 70]])


@pytest.mark.parametrize(
    "size",
    ["tiles:0", "tiles:", "tiles=640", "tiles:640,overlap=1", "tiles:640,overlap=1.5", "tiles:640,overlap=-.1",
     "tiles:640, overlap=.2", "tiles:640,.2", "tiles:640+tiles:640"],
)  # fmt: skip
def test_tiles_written_wrongly_are_refused(size: str) -> None:
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
