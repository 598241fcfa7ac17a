"""The emotion section: what is stored comes back in words, numbers and figures; what is missing is left out."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from facebench.errors import ResultsError, SchemaVersionError
from facebench.reports.figures import svg
from facebench.reports.figures.emotions import PARTS, BarParts, confusion_matrix, what_is_lost
from facebench.reports.sections import emotions as module
from facebench.reports.sections.emotions import EmotionsSection, answer, emotions_section, emotions_text
from facebench.tests.support.page import Page

HOSTILE = "m:<b>bold</b>,$x$"
NAMES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


def totals(right: int, lost: int, gained: int, missed: int, *, faces: int = 100, alarms: int = 7) -> dict[str, int]:
    return {
        "pictures": 20,
        "faces": faces,
        "detected": faces - missed - 5,
        "right": right,
        "oracle_right": right + lost - gained + missed,
        "missed_right": missed,
        "crop_lost": lost,
        "crop_gained": gained,
        "false_alarms": alarms,
        "own_errors": faces - right - lost - missed,
    }


def rates(of: dict[str, int]) -> dict[str, list[float | None]]:
    n = of["faces"]

    def around(value: float) -> list[float | None]:
        return [value, value - 0.05, value + 0.05]

    return {
        "oracle_accuracy": around(of["oracle_right"] / n),
        "detected_rate": around(of["detected"] / n),
        "accuracy_when_detected": around(of["right"] / of["detected"]) if of["detected"] else [None] * 3,
        "e2e_accuracy": around(of["right"] / n),
        "miss_loss": around(of["missed_right"] / n),
        "crop_loss": around((of["crop_lost"] - of["crop_gained"]) / n),
        "false_alarms_per_picture": around(of["false_alarms"] / of["pictures"]),
    }


def row(label: str, of: dict[str, int], variant: str = "same") -> dict[str, Any]:
    groups = [
        {"name": name, "totals": of | {"faces": faces}, "rates": rates(of)} for name, faces in (("a", 12), ("b", 88))
    ]
    return {
        "key": f"{label}/{variant}",
        "cell": label,
        "label": label,
        "variant": variant,
        "thresholds": [0.5, 0.5],
        "policies": ["square", "square"],
        "totals": of,
        "rates": rates(of),
        "by_emotion": groups,
        "by_size": groups,
        "alarm_emotions": dict(zip(NAMES, (7, 0, 0, 0, 0, 0, 0), strict=True)),
    }


GOOD, BAD = totals(60, 4, 1, 3), totals(40, 6, 2, 22)
EQUAL_GOOD, EQUAL_BAD = totals(50, 5, 1, 12), totals(55, 5, 2, 8)


def table(policy: str = "margin=0,square", *, rows: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    rows = (
        [
            row("good", GOOD),
            row(HOSTILE, BAD),
            row("good", totals(62, 2, 1, 3), "calibrated"),
            row(HOSTILE, EQUAL_BAD, "equal_alarms"),
            row("good", EQUAL_GOOD, "equal_alarms"),
        ]
        if rows is None
        else rows
    )
    differences = [
        {"first": "good/same", "second": f"{HOSTILE}/same", "value": [0.2, 0.11, 0.29]},
        {"first": "good/calibrated", "second": "good/same", "value": [0.02, -0.01, 0.05]},
        {"first": f"{HOSTILE}/equal_alarms", "second": f"{HOSTILE}/same", "value": [0.15, 0.1, 0.2]},
        {"first": "good/equal_alarms", "second": "good/same", "value": [-0.1, -0.2, -0.05]},
        {"first": f"{HOSTILE}/equal_alarms", "second": "good/equal_alarms", "value": [0.05, -0.02, 0.12]},
    ]
    return {
        "classifier": {"name": "reader <i>", "sha256": "c" * 64},
        "policy": policy,
        "emotions": list(NAMES),
        "oracle_confusion": [[10 * (i == j) + (i + j == 6) for j in range(7)] for i in range(7)],
        "resampling": {"seed": 0, "by_event": False, "draws": 1000},
        "equal_alarms": 0.1,
        "rows": rows,
        "differences": differences,
        "tied": {"same": ["good/same"], "calibrated": [], "equal_alarms": []},
        "first": {one["key"]: 0.98 if one["label"] == "good" else None for one in rows},
    }


def document(*tables: dict[str, Any], demo: bool = False) -> dict[str, Any]:
    return {
        "schema": "facebench.emotions",
        "schema_version": 1,
        "dataset": {
            "name": "expression-scenes?count=20",
            "coverage": "20 images",
            "demo": demo,
            "fingerprint": "f" * 16,
            "pictures": 20,
            "faces": 100,
            "labels": dict.fromkeys(NAMES, 10),
        },
        "answers": [],
        "tables": list(tables),
    }


def evaluation(sha256: str = "c" * 64) -> dict[str, Any]:
    numbers = {name: [0.5, 0.4, 0.6] for name in ("accuracy", "balanced_accuracy", "macro_f1", "calibration_error")}
    report = numbers | {
        "pictures": 3589,
        "classes": list(NAMES),
        "confusion": [[321 if i == j else 1 for j in range(7)] for i in range(7)],
        "mean_precision": [0.47, 0.4, 0.5],
        "mean_precision_less_accuracy": [-0.03, None, None],
    }
    return {
        "schema": "facebench.emotion-classification",
        "schema_version": 1,
        "titles": {"private": "FER2013 PrivateTest", "ckplus": "CK+"},
        "notes": ["a note & more"],
        "classifiers": [{"name": "reader <i>", "sha256": sha256, "reports": {"private": report}}],
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture
def one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "WIDTHS_PX", {"wide": 900})


def page(section: EmotionsSection) -> tuple[Page, str]:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    folder = Path(module.__file__).parents[1] / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = lambda text: Markup("<wbr>").join(re.split(r"(?<=[:,])", text))
    html = environment.get_template("emotions.html.j2").render(emotions=section)
    return Page(html), html


def section_of(tmp_path: Path, *tables: dict[str, Any], **options: Any) -> EmotionsSection:
    path = write(tmp_path / "emotions.json", document(*tables or (table(),)))
    found = emotions_section(path, **options)
    assert found is not None
    return found


@pytest.mark.parametrize("content", [None, document()])
def test_without_scores_there_is_no_section(tmp_path, content):
    assert emotions_section(None) is None
    path = tmp_path / "emotions.json"
    if content is not None:
        write(path, content)
    assert emotions_section(path) is None


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ("{", ResultsError, "cannot read"),
        ("[]", ResultsError, "another file"),
        ('{"schema": "facebench.run", "schema_version": 1}', ResultsError, "another file"),
        ('{"schema": "facebench.emotions", "schema_version": 2}', SchemaVersionError, "reads 1"),
        ('{"schema": "facebench.emotions", "schema_version": 1}', ResultsError, "damaged"),
        (json.dumps(document({"rows": []})), ResultsError, "damaged"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, error, words):
    path = tmp_path / "emotions.json"
    path.write_text(content)
    with pytest.raises(error, match=words) as caught:
        emotions_section(path)
    assert str(path) in str(caught.value)


def test_the_answer_says_what_the_better_detector_buys_and_by_what():
    text = answer(table())
    assert "With good, reader <i> names the emotion of .600 (.55–.65) of all faces" in text
    assert "on the annotated boxes it is .660 (.61–.71), and .340 is the classifier's own" in text
    # missed 22 less 3; crops 6 - 2 less 4 - 1: together the 20 faces
    assert f"Over {HOSTILE}, the last, that is +.200 (+.110 to +.290): +.190 by faces found, +.010 by crops." in text
    assert f"At thresholds for at most 0.1 false alarms per image, {HOSTILE} is first with .550 (.50–.60)" in text
    assert "+.050 (−.020 to +.120), not significantly different from none: +.040 by faces found" in text


@pytest.mark.parametrize(
    ("rows", "words"),
    [([], "No detector finished"), ([row("good", GOOD)], "names the emotion of .600")],
)
def test_the_answer_with_too_few_detectors(rows, words):
    text = answer(table(rows=rows))
    assert words in text
    assert "Over" not in text


@pytest.mark.usefixtures("one_width")
def test_every_number_of_the_table_comes_back(tmp_path):
    shown, _ = page(section_of(tmp_path))
    cells = [re.sub(r"\s+", " ", cell) for cell in shown.row("good")]
    assert cells[0] == "good best"
    assert cells[1:] == [
        ".660 (.61–.71)",
        ".920 (.87–.97)",
        ".652 (.60–.70)",
        ".600 (.55–.65)",
        ".030 (−.02–.08)",
        ".030 (−.020 to +.080)",
        "0.35 (0.30–0.40)",
        ".620 (.57–.67)",
        "+.020 (−.010 to +.050)",
        ".500 (.45–.55)",
        "−.100 (−.200 to −.050)",
    ]
    other = shown.row(HOSTILE)
    # never calibrated: dashes, nothing made up
    assert other[8:10] == ["–", "–"]
    assert other[0] == HOSTILE


@pytest.mark.usefixtures("one_width")
def test_hostile_names_are_text(tmp_path):
    shown, html = page(section_of(tmp_path))
    assert not {"b", "i"} & {tag for tag, _ in shown.elements}
    assert "m:<b>bold</b>,$x$" in shown.sections["emotions"]
    assert "style=" not in html


@pytest.mark.usefixtures("one_width")
def test_the_matrix_reads_both_ways_and_knows_what_it_cannot_tell(tmp_path):
    (own, first), (equal, second) = section_of(tmp_path).standings
    assert own == "At each detector's own threshold"
    good, other = first
    assert (good.versus[1].text, good.versus[1].verdict) == ("+.200", "better")
    assert (other.versus[0].text, other.versus[0].verdict) == ("−.200", "worse")
    assert (good.first, other.first) == ("98%", "–")
    assert equal.endswith("at most 0.1 false alarms per image")
    assert [line.label for line in second] == [HOSTILE, "good"]
    assert second[0].versus[1].verdict == "unclear"


@pytest.mark.usefixtures("one_width")
def test_groups_have_the_oracle_first_and_mark_few_faces(tmp_path):
    found = section_of(tmp_path)
    for grid in (found.by_emotion, found.by_size):
        assert [heading.text for heading, _ in grid.rows] == ["annotated boxes", "good", HOSTILE]
        assert [cell.text for cell in grid.rows[0][1]] == [".66", ".66"]
        assert [cell.text for cell in grid.rows[2][1]] == [".40", ".40"]
        assert [(cell.few, cell.level) for cell in grid.rows[1][1]] == [(True, None), (False, 6)]
    assert [cell.text for cell in found.alarms.rows[0][1]] == ["7", *["0"] * 6, "7"]


@pytest.mark.usefixtures("one_width")
def test_several_crops_make_a_table_and_the_wanted_one_leads(tmp_path):
    assert section_of(tmp_path).policies is None
    other = table("margin=0.3", rows=[row("good", BAD)])
    found = section_of(tmp_path, other, table())
    assert "crop margin=0,square;" in found.scope, "the table of the most rows leads"
    assert found.policies is not None
    assert [heading.text for heading, _ in found.policies.rows] == ["margin=0,square", "margin=0.3"]
    assert [cell.text for cell in found.policies.rows[1][1]] == [".66", ".40", "–"]
    assert "crop margin=0.3;" in section_of(tmp_path, table(), other, policy="margin=0.3").scope
    with pytest.raises(ResultsError, match="only with"):
        section_of(tmp_path, table(), other, policy="margin=9")
    with pytest.raises(ResultsError, match="of the classifier 'nobody'"):
        section_of(tmp_path, table(), classifier="nobody")


@pytest.mark.usefixtures("one_width")
def test_the_report_of_the_classifier_stands_beside_it(tmp_path):
    report = write(tmp_path / "classification.json", evaluation())
    shown, html = page(section_of(tmp_path, evaluation=report))
    cells = [re.sub(r"\s+", " ", cell) for cell in shown.row("FER2013 PrivateTest")]
    assert cells[:4] == ["FER2013 PrivateTest", "reader <i>", "3,589", ".500 (.40–.60)"]
    assert cells[-2:] == [".470 (.40–.50)", "−.030"]
    assert "CK+" not in [one[0] for one in shown.rows]
    assert "a note & more" in shown.sections["emotions"]
    assert ">321<" in html, "the confusion matrix is that of PrivateTest"


@pytest.mark.usefixtures("one_width")
@pytest.mark.parametrize("reports", [None, "of another classifier"])
def test_without_its_report_the_matrix_is_that_of_the_annotated_boxes(tmp_path, reports):
    path = write(tmp_path / "classification.json", evaluation("d" * 64)) if reports else tmp_path / "nothing.json"
    found = section_of(tmp_path, evaluation=path)
    assert "on the annotated boxes of expression-scenes?count=20" in found.confusion_title
    _, html = page(found)
    assert ">10<" in html
    assert ">321<" not in html


@pytest.mark.usefixtures("one_width")
def test_a_demonstration_says_so(tmp_path):
    path = write(tmp_path / "emotions.json", document(table(), demo=True))
    assert "measures nothing" in page(emotions_section(path))[0].sections["emotions"]
    assert "measures nothing" not in page(section_of(tmp_path))[0].sections["emotions"]


@pytest.mark.usefixtures("one_width")
def test_a_run_without_a_finished_detector(tmp_path):
    shown, html = page(section_of(tmp_path, table(rows=[])))
    assert "No detector finished" in shown.sections["emotions"]
    assert "emotion-pairs" not in html
    assert "emotion-classes" not in html


@pytest.mark.usefixtures("one_width")
def test_the_text_has_the_same_numbers_in_columns(tmp_path):
    found = section_of(tmp_path)
    lines = emotions_text(found).splitlines()
    assert lines[0] == found.answer
    assert lines[-1] == found.scope
    head, good, other = lines[2:5]
    for title, number in (("right of all", ".600 (.55–.65)"), ("lost by crops", ".030 (−.020 to +.080)")):
        assert good[head.index(title) :].startswith(number)
    assert other.startswith(HOSTILE)


@pytest.mark.usefixtures("one_width")
def test_a_narrow_terminal_gets_the_same_columns_in_several_tables(tmp_path):
    found = section_of(tmp_path)
    wide, narrow = emotions_text(found).split("\n\n"), emotions_text(found, 80).split("\n\n")
    assert (len(wide), narrow[0], narrow[-1]) == (3, wide[0], wide[-1])
    assert all(len(line) <= 80 for table in narrow[1:-1] for line in table.splitlines())
    lines = [table.splitlines() for table in (wide[1], *narrow[1:-1])]
    for row, whole in enumerate(lines[0]):
        label = whole.split("  ")[0]
        parts = [table[row] for table in lines[1:]]
        assert all(part.startswith(label) for part in parts)
        cells = [cell for part in parts for cell in part.removeprefix(label).split("  ") if cell.strip()]
        assert [label, *map(str.strip, cells)] == [cell.strip() for cell in whole.split("  ") if cell.strip()]


BARS = [BarParts("good", 100, 66, (60, 4, 3, 33)), BarParts(HOSTILE, 100, 66, (40, 6, 22, 32))]


def widths_by_colour(svg: str) -> dict[str, list[float]]:
    """How wide the filled rectangles of each colour are drawn, top to bottom."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in ET.fromstring(svg).iter():
        corners = re.findall(r"[ML] ([\d.]+) ([\d.]+)", path.attrib.get("d", ""))
        if path.attrib.get("fill", "").startswith("#") and len(corners) >= 4 and "clip-path" in path.attrib:
            x, y = [float(one) for one, _ in corners], [float(one) for _, one in corners]
            found.setdefault(path.attrib["fill"], []).append((min(y), max(x) - min(x)))
    return {colour: [width for _, width in sorted(some)] for colour, some in found.items()}


@pytest.mark.parametrize("width_px", [900, 380])
def test_the_bars_are_as_long_as_their_shares(width_px):
    drawn = list(widths_by_colour(what_is_lost(BARS, width_px)).values())
    assert len(drawn) == len(PARTS)
    whole = sum(part[0] for part in drawn)
    for place in range(4):
        for bar, width in zip(BARS, drawn[place], strict=True):
            assert width / whole == pytest.approx(bar.parts[place] / 100, abs=1e-3)


def test_the_figure_is_the_same_twice_and_tells_its_numbers_in_words():
    svg = what_is_lost(BARS)
    assert svg == what_is_lost(BARS)
    root = ET.fromstring(svg)
    title = root.attrib["aria-label"]
    assert "good .600 right, .040 lost by the crop, .030 lost by a miss" in title
    assert HOSTILE in "".join(root.itertext())
    assert "annotated boxes: .660" in "".join(root.itertext())


def test_no_face_draws_empty_bars():
    root = ET.fromstring(what_is_lost([BarParts("blind", 0, 0, (0, 0, 0, 0))]))
    assert "blind" in "".join(root.itertext())


@pytest.mark.parametrize("width_px", [900, 380])
def test_the_confusion_matrix_has_every_count_and_a_row_of_nothing(width_px):
    counts = [[1234, 0, 5], [0, 0, 0], [7, 8, 9]]
    root = ET.fromstring(confusion_matrix(["a", "b", "c"], counts, "t", width_px))
    texts = [text.text for text in root.iter() if text.tag.endswith("}text")]
    for number in ("1,234", "5", "7", "8", "9", "38 %"):
        assert number in texts
    assert (texts.count("0"), texts.count("0 %"), texts.count("–")) == (4, 2, 3)
    title = root.attrib["aria-label"]
    for words in ("a: 100 % right", "b: never shown", "c: 38 % right"):
        assert words in title
