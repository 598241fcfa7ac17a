"""The study's own claim about its emotion model, recomputed from its own numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...errors import DataError


@dataclass(frozen=True, slots=True)
class StudyClaim:
    """What the study this project began from said of its emotion model, and what its own numbers say.

    Attributes:
        images: it was tested on, a tenth of FER2013's Training part.
        claimed: what it calls accuracy.
        accuracy: of its own confusion matrix.
        macro_f1: of the same.
        best_accuracy: of the best of its 32 models.
    """

    images: int = 2867
    claimed: float = 0.59
    accuracy: float = 0.609
    macro_f1: float = 0.584
    best_accuracy: float = 0.647

    @property
    def right(self) -> int:
        """Images answered rightly, to the rounding of the accuracy (half a promille, 1 or 2 images)."""
        return round(self.accuracy * self.images)

    @property
    def right_as_claimed(self) -> int:
        """Images that would have been answered rightly had the claim been an accuracy."""
        return round(self.claimed * self.images)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy over other images of the kind: Wilson's score interval."""
        return wilson_interval(self.right, self.images)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What can be recomputed, and why the claim was not an accuracy."""
        accuracy, claimed, macro_f1, best, low, high = (
            f"{100 * value:.1f}"
            for value in (self.accuracy, self.claimed, self.macro_f1, self.best_accuracy, *self.interval)
        )
        return (
            f"“{100 * self.claimed:.0f} %” was not an accuracy: it is the mean over the seven emotions of the share of "
            "right ones among the answers “this emotion” (precision), in which each emotion weighs the same however "
            "many faces show it, and which never looks at the faces of an emotion that were answered otherwise; "
            "accuracy is the share of all faces answered rightly.",
            f"The study's own confusion matrix gives an accuracy of {accuracy} %, which is {self.right:,} of "
            f"{self.images:,} images (95 % interval {low} to {high} %), and a macro-F1 of {macro_f1} %; an "
            f"accuracy of {claimed} % would be {self.right_as_claimed:,} images, "
            f"{self.right - self.right_as_claimed} fewer.",
            f"The best of its 32 models had {best} % on the same images. The matrix itself is not available, so its "
            "recalls and the interval of its macro-F1 cannot be recomputed here.",
        )


def wilson_interval(right: int, images: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the score interval of a share (Wilson, JASA 1927).

    Args:
        right: how many of them.
        images: how many there are.
        z: standard deviations; the usual value makes it a 95 % interval.

    Raises:
        DataError: there is no image, or more are right than there are.

    >>> [round(end, 3) for end in wilson_interval(50, 100)]
    [0.404, 0.596]
    """
    if not 0 <= right <= images or images == 0:
        raise DataError(f"got {right} right of {images} images, expected 0 to all of at least one")
    share, spread = right / images, z * z / images
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / images + spread / (4 * images)) / (1 + spread)
    return middle - half, middle + half
