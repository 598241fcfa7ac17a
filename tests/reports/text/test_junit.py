"""The JUnit file: what CI services read, whatever stands in a message."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from facebench.benchmarks.compare.gate import GateResult, Judgement
from facebench.benchmarks.compare.limits import GateLimits
from facebench.benchmarks.compare.runs import Comparison
from facebench.benchmarks.timing.latency_verdict import Verdict
from facebench.reports.text.junit import junit_xml

NOTHING = Comparison("base", "head", {"name": "made-up"}, 0, "hard", ())
HOSTILE = 'broke on "<b>&\x00\x1b[31m\ud800' + "é →"


def judged(*verdicts: tuple[str, str, str]) -> GateResult:
    found = [Judgement("haar <x>", criterion, Verdict(outcome, reason)) for criterion, outcome, reason in verdicts]
    return GateResult(NOTHING, GateLimits(), tuple(found))


def parsed(result: GateResult) -> ET.Element:
    return ET.fromstring(junit_xml(result))


def test_the_structure_is_that_of_the_schema():
    """Elements, attributes and order as junit-10.xsd of the Jenkins xUnit plugin has them."""
    suites = parsed(judged(("completed", "pass", "a"), ("accuracy", "fail", "b"), ("latency", "inconclusive", "c")))
    (suite,) = suites
    assert (suites.tag, suite.tag) == ("testsuites", "testsuite")
    assert set(suites.attrib) <= {"name", "time", "tests", "failures", "disabled", "errors"}
    assert set(suite.attrib) <= {
        "name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
        "file", "log", "url", "version",
    }  # fmt: skip
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3", "failures": "1", "errors": "0", "skipped": "1",
    }  # fmt: skip
    for case in suite:
        assert case.tag == "testcase" and set(case.attrib) == {"classname", "name", "time"}
        assert float(case.attrib["time"]) == 0
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"], ["skipped"]]
    failure, skipped = suite[1][0], suite[2][0]
    assert (failure.get("message"), failure.get("type"), failure.text) == ("b", "accuracy", "b")
    assert skipped.get("message") == "inconclusive: c"


@pytest.mark.parametrize("outcome", ["pass", "fail", "inconclusive"])
def test_any_message_gives_well_formed_xml(outcome):
    (case,) = parsed(judged(("latency", outcome, HOSTILE)))[0]
    text = case[0].get("message") or case[0].text
    assert case.get("classname") == "haar <x>"
    assert text is not None and text.endswith(r'broke on "<b>&\x00\x1b[31m\ud800é →')


def test_no_judgement_is_an_empty_suite():
    (suite,) = parsed(judged())
    assert (suite.get("tests"), len(suite)) == ("0", 0)
