"""The report: one HTML file that needs nothing beside it, no network and no web server."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from ..benchmarks.analysis.depth import Analysis, analyse
from ..benchmarks.analysis.table import Summary
from ..benchmarks.compare.runs import Comparison
from ..benchmarks.store.run_folder import RunFolder, write_atomically
from .sections import Page, sections
from .values.answer import answer
from .values.numbers import row_label
from .values.table import basis, standing

_TEMPLATES = Path(__file__).parent / "templates"
_SCRIPTS = ("table.js", "gallery.js")


def write_report(
    summary: Summary,
    path: Path,
    emotion_run: RunFolder | None = None,
    evaluation: Path | None = None,
    *,
    images: bool = True,
    comparisons: Sequence[Comparison] = (),
) -> None:
    """Analyse a run and write its report.

    Args:
        summary: a scored run.
        path: the HTML file.
        emotion_run: see `render`.
        evaluation: the same.
        images: the same.
        comparisons: the same.

    Raises:
        ResultsError: a table or a preview of the run is damaged, or the file cannot be written.
    """
    html = render(summary, analyse(summary), emotion_run, evaluation, images=images, comparisons=comparisons)
    write_atomically(path, html.encode("utf-8"))


def render(
    summary: Summary,
    analysis: Analysis,
    emotion_run: RunFolder | None = None,
    evaluation: Path | None = None,
    *,
    images: bool = True,
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the report as HTML; equal runs give equal text.

    Args:
        summary: a scored run.
        analysis: of the same run.
        emotion_run: the run whose emotion scores are shown, where they are; None: the run itself.
        evaluation: the classification report of the classifier, as `facebench emotions evaluate` writes it.
        images: whether images of the data set are embedded.
        comparisons: of this run, the base, with other runs.

    Raises:
        ResultsError: a preview of the run is missing or damaged, or the emotion scores are.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = lambda text: Markup("<wbr>").join(re.split(r"(?<=[:,])", text))
    environment.filters["bracket_below"] = _bracket_below
    document = summary.run.document
    environment.globals |= {
        "summary": summary,
        "conditions": _conditions(summary),
        "machines": sorted({row.cell.machine for row in summary.rows}) or [document.environment.machine],
        "label": row_label,
    }
    page = Page(summary, analysis, answer(summary), emotion_run, evaluation, images, comparisons)
    shown = [section for make in sections() if (section := make(page)) is not None]
    body = "\n".join(environment.get_template(one.template).render(one.values) for one in shown)
    style, script = _template_text("report.css"), "".join(map(_template_text, _SCRIPTS))
    policy = (
        f"default-src 'none'; img-src data:; style-src {_csp_hash(style)}; script-src {_csp_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("report.html.j2").render(
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        dataset=document.dataset,
        answer=page.answer,
        standing=standing(summary),
        basis=basis(summary),
        contents=[(one.anchor, one.link) for one in shown if one.link] if analysis.cells else [],
        body=Markup(body),
    )


def _conditions(summary: Summary) -> str:
    """Say on which device and how many threads the detectors ran."""
    measured = [row.cell for row in summary.rows if row.cell.predictions is None]
    found = dict.fromkeys((cell.device, cell.threads) for cell in measured)
    if summary.rows and not found:
        return "not measured here"
    return "; ".join(f"{device}, {threads} thread{'' if threads == 1 else 's'}" for device, threads in found)


def _bracket_below(text: str) -> str:
    """Put what a cell holds in brackets on a line of its own, so that columns stay narrow."""
    from markupsafe import Markup

    number, _, bracket = text.partition("\n")
    return Markup("{} <small>{}</small>").format(number, bracket) if bracket else number


def _template_text(name: str) -> str:
    return "\n" + (_TEMPLATES / name).read_text(encoding="utf-8")


def _csp_hash(text: str) -> str:
    """Return the source expression that lets exactly this inline text pass."""
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
