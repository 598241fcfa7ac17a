"""The verdicts of a gate as JUnit XML, which every CI service shows as tests.

One test case a detector and criterion; a fail is a failure, and what is inconclusive is skipped with its reason: the
format has no third state. The structure is that of the Jenkins JUnit schema (testsuites / testsuite / testcase).
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from ...benchmarks.compare.gate import GateResult, Judgement
from ...safe_text import bounded, visible


def junit_xml(result: GateResult, *, name: str = "facebench gate") -> bytes:
    """Return the file's content, UTF-8."""
    outcomes = [judgement.verdict.outcome for judgement in result.judgements]
    counts = {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count("fail")),
        "errors": "0",
        "skipped": str(outcomes.count("inconclusive")),
    }
    suites = ET.Element("testsuites", {"name": name, **{key: counts[key] for key in ("tests", "failures", "errors")}})
    suite = ET.SubElement(suites, "testsuite", {"name": name, **counts})
    for judgement in result.judgements:
        _case(suite, judgement)
    ET.indent(suites)
    return bytes(ET.tostring(suites, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: ET.Element, judgement: Judgement) -> None:
    case = ET.SubElement(
        suite, "testcase", {"classname": _text(judgement.detector), "name": judgement.criterion, "time": "0"}
    )
    outcome, reason = judgement.verdict.outcome, _text(judgement.verdict.reason)
    if outcome == "fail":
        ET.SubElement(case, "failure", {"message": reason, "type": judgement.criterion}).text = reason
    elif outcome == "inconclusive":
        ET.SubElement(case, "skipped", {"message": f"inconclusive: {reason}"})
    else:
        ET.SubElement(case, "system-out").text = reason


def _text(text: str) -> str:
    """What XML 1.0 cannot hold, as a detector's error message may, is unsafe elsewhere too."""
    return bounded(visible(text))
