"""Scores of face detectors: pure functions over arrays, without input or output.

boxes -> `match` (once a detector) -> `count` (once a list) -> `official_average_precision`, `exact_average_precision`,
`operating_point`. `score` does it all.
"""

from .counting import Counts, count
from .front import ListScore, Scores, score
from .matching import ImageBoxes, Matches, iou, iou_matrix, match
from .operating_point import OperatingPoint, operating_point
from .wider_protocol import average_precision, exact_average_precision, official_average_precision

__all__ = [
    "Counts",
    "ImageBoxes",
    "ListScore",
    "Matches",
    "OperatingPoint",
    "Scores",
    "average_precision",
    "count",
    "exact_average_precision",
    "iou",
    "iou_matrix",
    "match",
    "official_average_precision",
    "operating_point",
    "score",
]
