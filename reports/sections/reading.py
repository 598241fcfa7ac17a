"""Which number to believe when: the same words in every report."""

from __future__ import annotations

from .base import Page, Section

ORDER = 30

READING = (
    (
        "To rank detectors: exact AP",
        "on the last list, which is the hardest. Every distinct score is a threshold, so how a detector spreads its "
        "scores does not matter.",
    ),
    (
        "To stand beside published numbers: official AP,",
        "on the whole of WIDER FACE val alone. Its thousand even thresholds move it by up to three points when scores "
        "are merely rescaled, and false alarms on images without faces cost it nothing.",
    ),
    (
        "To ask how tightly boxes fit: COCO AP and AP75.",
        "A detector that frames faces differently loses here without finding fewer: look at its box habit before you "
        "call it worse.",
    ),
    (
        "Every interval",
        "(95 %) is for the number that all images of the same kind would give; it knows nothing of wrong labels or of "
        "your images. It is wide where few images carry the number, as crowds do.",
    ),
    (
        "Which of two is better: the paired difference,",
        "taken on the same draws; overlapping intervals decide nothing. Where its interval includes 0 they are not "
        "significantly different, which is not the same as equal. Ties with the best judge all pairs together; in the "
        "matrix each pair is judged alone, and of a hundred a few look clear by chance.",
    ),
    (
        "To use a detector: its operating point.",
        "AP sums up all thresholds; you will run at one. Compare precision, recall and false alarms there, and choose "
        "the threshold for what you need.",
    ),
    (
        "Slices:",
        "compare detectors on one slice by either number, slices with one another by recall alone. Few faces or "
        "images say little.",
    ),
    (
        "A cut curve",
        "means that the detector's own score floor hid detections: its AP is a lower bound. Run it with a lower floor "
        "where it lets you.",
    ),
    (
        "A part of the images",
        "compares detectors with one another; its numbers do not stand beside those of the whole set. Demonstration "
        "data shows that everything works and ranks nothing.",
    ),
    (
        "Trained on WIDER",
        "means that the detector knows images of this kind, so that it looks better here than on yours; one trained "
        "elsewhere does not have that help.",
    ),
)
"""What is asked or seen, and what to make of it, in words that read on."""


def section(page: Page) -> Section:
    """Say which number to believe when."""
    return Section("reading", "reading.html.j2", {"reading": READING}, "which number to believe")
