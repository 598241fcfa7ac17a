"""The table of a run's detectors with one classifier and one crop policy: ranked, compared, and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...benchmarks.analysis.table import Resampling
from ...benchmarks.resampling.bootstrap import Difference, paired_difference
from ...benchmarks.resampling.ranking import first_shares, tied_with_best
from ...benchmarks.store.records import StoredCell
from ...datasets.faces.fer import EMOTIONS
from ..pipeline.crops import CropPolicy
from .answers import ScoredClassifier
from .document import plain_interval
from .losses import EndToEnd, GroupScore, differences

Variant = Literal["same", "calibrated", "equal_alarms"]
"""The same crop for all at each detector's own threshold; a crop fitted to its own habit of drawing boxes; the same
crop at a threshold that gives all detectors equally many false alarms."""
VARIANTS: tuple[Variant, ...] = ("same", "calibrated", "equal_alarms")
EQUAL_ALARMS = 0.1
"""False alarms an image, at most, in the variant of that name: on the other half of the images."""


@dataclass(frozen=True, slots=True)
class EndToEndRow:
    """One detector.

    Attributes:
        cell: as stored in run.json.
        variant: see `Variant`.
        thresholds: lowest score accepted in the first and in the second half of the images.
        policies: what crops them; equal ones where nothing is fitted.
        score: all numbers.
    """

    cell: StoredCell
    variant: Variant
    thresholds: tuple[float, float]
    policies: tuple[str, str]
    score: EndToEnd

    @property
    def key(self) -> str:
        """Names the row in its table."""
        return f"{self.cell.key}/{self.variant}"

    @property
    def label(self) -> str:
        """Name of the detector, see `StoredCell.label`."""
        return self.cell.label


@dataclass(frozen=True, slots=True, eq=False)
class EndToEndTable:
    """All detectors of a run with one classifier and one crop policy, on the same draws of the images.

    Attributes:
        classifier: its name.
        classifier_sha256: of its weights.
        policy: the crop policy, as text.
        oracle_confusion: int64 (7, 7): how the classifier answers on the annotated boxes; rows are the labels.
        rows: the variants one after the other, each best first. A detector that has no threshold with so few false
            alarms has no row of equal alarms.
        differences: keys of two rows -> end-to-end accuracy of the first less that of the second: all pairs of
            a variant, and every other row against the same detector's row of the variant "same".
        tied: variant -> keys of the best row and those not significantly worse.
        first: key -> share of the draws in which it is best among its variant.
        resampled: how images were drawn.
    """

    classifier: str
    classifier_sha256: str
    policy: str
    oracle_confusion: NDArray[np.int64]
    rows: tuple[EndToEndRow, ...]
    differences: Mapping[tuple[str, str], Difference]
    tied: Mapping[Variant, tuple[str, ...]]
    first: Mapping[str, float]
    resampled: Resampling

    def of(self, variant: Variant) -> tuple[EndToEndRow, ...]:
        """Return the rows of one variant, best first."""
        return tuple(row for row in self.rows if row.variant == variant)


def make_table(
    classifier: ScoredClassifier,
    policy: CropPolicy,
    oracle_confusion: NDArray[np.int64],
    rows: Sequence[EndToEndRow],
    resampling: Resampling,
) -> EndToEndTable:
    """Rank rows and compare them.

    Args:
        classifier: what answered.
        policy: how the rows were cropped.
        oracle_confusion: see `confusion_of`.
        rows: of one run, on the same draws.
        resampling: how they were drawn.
    """
    ranked = sorted(rows, key=lambda row: (VARIANTS.index(row.variant), -row.score.totals.right, row.label))
    scores = {variant: {row.key: row.score for row in ranked if row.variant == variant} for variant in VARIANTS}
    found = {pair: one for of in scores.values() for pair, one in differences(of).items()}
    for row in ranked:
        plain = f"{row.cell.key}/same"
        if row.key != plain:
            found[row.key, plain] = paired_difference(row.score.e2e, scores["same"][plain].e2e)
    resampled = {variant: {key: one.e2e for key, one in of.items()} for variant, of in scores.items()}
    return EndToEndTable(
        classifier.name,
        classifier.sha256,
        str(policy),
        oracle_confusion,
        tuple(ranked),
        found,
        {variant: tied_with_best(of) for variant, of in resampled.items()},
        {key: share for of in resampled.values() for key, share in first_shares(of).items()},
        resampling,
    )


def confusion_of(labels: NDArray[np.integer[Any]], answers: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Count answers by label: int64 (7, 7), rows are the labels."""
    cells = labels.astype(np.int64) * len(EMOTIONS) + answers
    return np.bincount(cells, minlength=len(EMOTIONS) ** 2).reshape(len(EMOTIONS), -1).astype(np.int64)


def plain_table(table: EndToEndTable) -> dict[str, Any]:
    """Return a table as plain values, as `emotions.json` holds it."""
    return {
        "classifier": {"name": table.classifier, "sha256": table.classifier_sha256},
        "policy": table.policy,
        "emotions": list(EMOTIONS),
        "oracle_confusion": table.oracle_confusion.tolist(),
        "resampling": asdict(table.resampled),
        "rows": [
            {
                "key": row.key,
                "cell": row.cell.key,
                "label": row.label,
                "variant": row.variant,
                "thresholds": list(row.thresholds),
                "policies": list(row.policies),
                "totals": asdict(row.score.totals) | {"own_errors": row.score.totals.own_errors},
                "rates": {name: plain_interval(value) for name, value in row.score.rates.items()},
                "by_emotion": _plain_groups(row.score.by_emotion),
                "by_size": _plain_groups(row.score.by_size),
                "alarm_emotions": dict(zip(EMOTIONS, row.score.alarm_emotions.tolist(), strict=True)),
            }
            for row in table.rows
        ],
        "differences": [
            {"first": one, "second": other, "value": plain_interval(found.interval)}
            for (one, other), found in table.differences.items()
        ],
        "equal_alarms": EQUAL_ALARMS,
        "tied": {variant: list(keys) for variant, keys in table.tied.items()},
        "first": {key: None if np.isnan(share) else round(share, 6) for key, share in table.first.items()},
    }


def _plain_groups(groups: Sequence[GroupScore]) -> list[dict[str, Any]]:
    return [
        {
            "name": group.name,
            "totals": asdict(group.totals) | {"own_errors": group.totals.own_errors},
            "rates": {name: plain_interval(value) for name, value in group.rates.items()},
        }
        for group in groups
    ]
