"""What a section of the report is made from, and what it gives.

A section is a module of this folder, or of one inside it, with a function `section(page)` and its place among the
others, `ORDER`; and a template of `templates/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...benchmarks.analysis.depth import Analysis
from ...benchmarks.analysis.table import Summary
from ...benchmarks.compare.runs import Comparison
from ...benchmarks.store.run_folder import RunFolder
from ..values.answer import ReportAnswer


@dataclass(frozen=True, slots=True)
class Page:
    """What a report is about.

    Attributes:
        summary: the scored run.
        analysis: of the same run.
        answer: what the report says first.
        emotion_run: the run whose emotion scores are shown; None: the run itself.
        evaluation: the classification report of the classifier, where there is one.
        images: whether images of the data set are embedded.
        comparisons: of the run, as the base, with other runs.
    """

    summary: Summary
    analysis: Analysis
    answer: ReportAnswer
    emotion_run: RunFolder | None = None
    evaluation: Path | None = None
    images: bool = True
    comparisons: Sequence[Comparison] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the report.

    Attributes:
        anchor: the id of its heading.
        template: a file of `templates/`; it also knows `summary`, `conditions`, `machines` and `label`.
        values: what the template shows.
        link: its name in the table of contents; empty: it stands in none.
    """

    anchor: str
    template: str
    values: Mapping[str, Any]
    link: str = ""
