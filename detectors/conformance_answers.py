"""What a detector's answers must be, whatever it is: the checks of the conformance kit that look at boxes and scores.

Each takes the detector, returns what was seen, and raises BrokenContractError where that breaks the contract.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np

from .agreement import BOX_PX, SCORE, agree
from .base import Detections, Detector, RGBImage
from .floor_cost import cost_of_floor
from .probe_images import FACE, colour_probes, portrait, small_portrait
from .registry import DetectorSpec, create

_SCORE_TOLERANCE = 0.005
_BOX_TOLERANCE = 0.35


class BrokenContractError(Exception):
    """A check did not hold; the message says what was seen and how to fix it."""


def require(condition: bool, message: str) -> None:
    """Raise BrokenContractError with this message unless the condition holds."""
    if not condition:
        raise BrokenContractError(message)


def detect(detector: Detector, image: RGBImage) -> Detections:
    """Return an answer that has been checked once more."""
    return _checked(detector.detect(image))


def _checked(found: Detections) -> Detections:
    """Return an answer, checked once more."""
    require(isinstance(found, Detections), f"detect must return facebench.Detections, got {type(found).__name__}")
    # a new value checks dtypes, shapes, order and finiteness once more, whoever built the old one
    landmarks = None if found.landmarks is None else found.landmarks.copy()
    return Detections(found.boxes.copy(), found.scores.copy(), landmarks)


def check_portrait(found: Detections) -> str:
    """Look for the one face."""
    require(len(found) > 0, "no face found in a sharp frontal portrait of 512×512 pixels, face 95×116")
    overlap = _iou(found.boxes[0], FACE)
    require(
        overlap >= _BOX_TOLERANCE,
        f"best box {found.boxes[0].round().tolist()}, the face is at {FACE}: IoU {overlap:.2f}; "
        "are boxes x1, y1, x2, y2 in pixels?",
    )
    return f"IoU {overlap:.2f}, score {found.scores[0]:.3f}, {len(found)} boxes"


def check_place(detector: Detector) -> str:
    """Put the portrait off centre into a wide image: swapped axes or a wrong scale move the box."""
    canvas = np.full((600, 1000, 3), 120, np.uint8)
    canvas[60:572, 420:932] = portrait()
    found = detect(detector, canvas)
    face = tuple(value + offset for value, offset in zip(FACE, (420, 60, 420, 60), strict=True))
    require(len(found) > 0, "no face found once the portrait lies in a wider image")
    overlap = _iou(found.boxes[0], face)
    where = f"best box {found.boxes[0].round().tolist()}, the face is at {face}"
    require(overlap >= _BOX_TOLERANCE, f"{where}: IoU {overlap:.2f}")
    return f"IoU {overlap:.2f}"


def check_landmarks(detector: Detector, found: Detections) -> str:
    """Look for five points in order where the card promises them, and for none where it does not."""
    if not detector.info.landmarks:
        require(found.landmarks is None, "info.landmarks is false, but the result has some")
        return "none claimed"
    require(found.landmarks is not None and len(found) > 0, "info.landmarks is true, but the result has none")
    assert found.landmarks is not None
    left_eye, right_eye, nose, left_mouth, right_mouth = found.landmarks[0]
    ordered = left_eye[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
    upright = max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    require(
        bool(ordered and upright),
        f"expected left eye, right eye, nose, left and right mouth corner as seen, got {found.landmarks[0].tolist()}",
    )
    return "five points in order"


def check_colour_order(detector: Detector, spec: DetectorSpec) -> str:
    """Take the default parameters, for which the reference scores hold; no parameter turns the channels round."""
    reference = spec.adapter.reference_scores
    if reference is None or not spec.given:
        return _compare_colours(detector, reference)
    floor = spec.adapter.info.score_floor
    with closing(create(spec.name, device=detector.device, threads=detector.threads, score_floor=floor)) as default:
        return _compare_colours(default, reference)


def _compare_colours(detector: Detector, reference: tuple[float, float] | None) -> str:
    """Compare with the adapter's reference scores; a swap must both be told from them and not be there.

    Without a reference, a portrait must not score better when swapped.
    """
    probes = colour_probes()
    given = [_best(detector, probe) for probe in probes]
    swapped = [_best(detector, probe[:, :, ::-1]) for probe in probes]
    seen = f"scores {_pair(given)}, with red and blue swapped {_pair(swapped)}"
    if reference is None:
        natural, turned = _best(detector, portrait()), _best(detector, portrait()[:, :, ::-1])
        worse = turned - natural
        told = f"a portrait scores {natural:.3f}, with red and blue swapped {turned:.3f}"
        require(
            worse <= 0.02 * max(1.0, abs(natural)),
            f"{told}; is the input taken as RGB? If so, declare reference_scores",
        )
        return f"{seen}; declare reference_scores to make sure"
    off = max(abs(got - expected) for got, expected in zip(given, reference, strict=True))
    apart = max(abs(got - expected) for got, expected in zip(swapped, reference, strict=True))
    require(off <= _SCORE_TOLERANCE, f"{seen}; expected {_pair(reference)}: is the input taken as RGB?")
    require(apart > 2 * _SCORE_TOLERANCE, f"{seen}: the reference scores {_pair(reference)} cannot tell them apart")
    return seen


def check_image(detector: Detector, image: RGBImage) -> str:
    """Take any valid answer."""
    return f"{len(detect(detector, image))} boxes"


def check_non_contiguous(detector: Detector) -> str:
    """Give a view with negative strides."""
    image = small_portrait()
    one, two = detect(detector, image[:, ::-1].copy()[:, ::-1]), detect(detector, image)
    _require_equal(one, two)
    return f"{len(one)} equal boxes"


def check_twice(detector: Detector) -> str:
    """Look twice, then once more after another image: some networks keep its size, trackers its faces."""
    one, two = detect(detector, small_portrait()), detect(detector, small_portrait())
    _require_equal(one, two)
    detect(detector, portrait()[20:240, 120:332])
    _require_equal(two, detect(detector, small_portrait()), " after an image of another size")
    return f"{len(one)} equal boxes"


def check_read_only(detector: Detector) -> str:
    """Give an array that cannot be written into."""
    image = small_portrait()
    image.setflags(write=False)
    return f"{len(detect(detector, image))} boxes"


def check_not_modified(detector: Detector) -> str:
    """Give an array that can."""
    image = small_portrait()
    detect(detector, image)
    require(bool((image == small_portrait()).all()), "the image given was changed; work on a copy")
    return "unchanged"


def check_batch(detector: Detector) -> str:
    """Give images of two sizes, mixed: a batch must be its images one by one, in their order."""
    if not detector.batches():
        return "none: one image after the other"
    face = portrait()
    images = [face, face[:301, :277], face[:, ::-1], np.zeros_like(face), face[40:341, 100:377]]
    together = list(map(_checked, detector.detect_batch(images)))
    require(len(together) == len(images), f"{len(together)} answers to a batch of {len(images)} images")
    alone = [detect(detector, image) for image in images]
    for place, (one, other) in enumerate(zip(together, alone, strict=True)):
        require(
            agree(one, other, detector.score_floor),
            f"image {place} of a batch has other boxes than alone, by more than {BOX_PX} px or {SCORE} in score: "
            f"{len(one)} and {len(other)}. Run images of one size together, and do not pad with what moves boxes",
        )
    require(list(detector.detect_batch([])) == [], "a batch of no images must be an empty list")
    return f"{sum(map(len, alone))} boxes, as one by one"


def check_score_floor(detector: Detector, found: Detections) -> str:
    """Compare scores with the floor, and with what the card says of their kind."""
    if detector.info.score_kind == "none":
        require(bool((found.scores == 1).all()), "score_kind is none: every score must be 1")
        return "no scores"
    lowest = float(found.scores.min(initial=np.inf))
    require(lowest >= detector.score_floor - 1e-6, f"score {lowest:.4f} is below the floor {detector.score_floor:g}")
    if detector.info.score_kind == "probability":
        highest = float(found.scores.max(initial=0))
        inside = lowest >= 0 and highest <= 1 + 1e-6
        require(inside, f"probabilities must lie in 0 to 1, got {lowest:.3f} to {highest:.3f}")
    return f"lowest {lowest:.3f}, floor {detector.score_floor:g}"


def check_higher_floor(detector: Detector, spec: DetectorSpec, found: Detections) -> str:
    """A threshold is chosen on boxes found at the floor; whoever builds the detector with it must get the same ones."""
    lowest, own = detector.score_floor, detector.operating_threshold
    if detector.info.score_kind == "none" or lowest >= own:
        return "no floor below its own threshold"
    between = found.scores[found.scores < own]
    # a score that was found, where there is one: it must count at a floor that equals it
    middle = float(between[len(between) // 2]) if len(between) else (lowest + own) / 2
    for floor in (middle, own):
        with closing(create(spec, device=detector.device, threads=detector.threads, score_floor=floor)) as higher:
            _require_equal(
                found.above(floor),
                detect(higher, portrait()),
                f" with score_floor={floor:g} instead of {lowest:g}",
                ": run the library at one floor always, and drop what scores less with Detections.above",
            )
    return f"equal boxes at {middle:g} and {own:g}"


def tell_cost_of_floor(detector: Detector, spec: DetectorSpec) -> str:
    """Say what boxes below the threshold cost; it never fails."""
    try:
        return cost_of_floor(spec, portrait(), device=detector.device, threads=detector.threads)
    except Exception as error:  # noqa: BLE001 - what is broken is the finding of the other checks; this one only tells
        return f"not measured: {error}"


def _iou(box: np.ndarray, face: tuple[int, ...]) -> float:
    width = min(box[2], face[2]) - max(box[0], face[0])
    height = min(box[3], face[3]) - max(box[1], face[1])
    inside = max(0.0, float(width)) * max(0.0, float(height))
    areas = float((box[2] - box[0]) * (box[3] - box[1])) + (face[2] - face[0]) * (face[3] - face[1])
    return inside / (areas - inside)


def _best(detector: Detector, image: RGBImage) -> float:
    found = detect(detector, image)
    return float(found.scores[0]) if len(found) else 0.0


def _pair(scores: tuple[float, ...] | list[float]) -> str:
    return " and ".join(f"{score:.3f}" for score in scores)


def _require_equal(one: Detections, two: Detections, when: str = "", advice: str = "") -> None:
    same = np.array_equal(one.boxes, two.boxes) and np.array_equal(one.scores, two.scores)
    if one.landmarks is None or two.landmarks is None:
        same = same and one.landmarks is two.landmarks
    else:
        same = same and np.array_equal(one.landmarks, two.landmarks)
    require(same, f"{len(one)} boxes, and {len(two)} that are not the same{when}; expected equal results{advice}")
