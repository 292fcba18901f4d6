"""What continuous integration reads of a plan's run: JUnit XML, and a summary in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

from hwloop.ci.cases import Case, Status

NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")  # characters that XML 1.0 has not
MARKS = {"passed": "✅", "failed": "❌", "error": "⚠️"}


def junit(cases: Sequence[Case]) -> str:
    """Return JUnit XML: a suite for each check, and in it a test for each case."""
    root = ElementTree.Element("testsuites", _numbers(cases))
    for check in dict.fromkeys(case.check for case in cases):
        of_it = [case for case in cases if case.check == check]
        suite = ElementTree.SubElement(root, "testsuite", {"name": check, **_numbers(of_it)})
        for case in of_it:
            _add_test(suite, case)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _numbers(cases: Sequence[Case]) -> dict[str, str]:
    results = [case.result for case in cases]
    return {"tests": str(len(results)), "failures": str(results.count("failed")), "errors": str(results.count("error"))}


def _add_test(suite: ElementTree.Element, case: Case) -> None:
    place = {"classname": f"{case.check}.{case.device}.{case.runtime}", "name": case.model}
    test = ElementTree.SubElement(suite, "testcase", {name: _plain(value) for name, value in place.items()})
    if case.error:
        ElementTree.SubElement(test, "error", {"message": _plain(case.error)})
    if case.failed:
        failure = ElementTree.SubElement(test, "failure", {"message": ", ".join(one.what for one in case.failed)})
        failure.text = _plain("\n".join(f"{one.what}: {one.words}" for one in case.failed))
    others = [f"{one.what} {one.status.value}: {one.words}" for one in case.findings if one not in case.failed]
    if others:
        ElementTree.SubElement(test, "system-out").text = _plain("\n".join(others))


def _plain(text: str) -> str:
    return NO_XML.sub("?", text)


def title(cases: Sequence[Case]) -> str:
    """Return how many cases failed, or that none did."""
    wrong = sum(case.result != "passed" for case in cases)
    return f"{wrong or len(cases)} of {len(cases)} cases {'failed' if wrong else 'passed'}"


def summary(cases: Sequence[Case]) -> str:
    """Return Markdown: a table with a row for each case, and below it what is wrong."""
    wrong = [case for case in cases if case.result != "passed"]
    lines = [
        f"### hwloop: {title(cases)}",
        "",
        "| | check | model | device | runtime | per call | beside the baseline | size |",
    ]
    lines.append("|---|---|---|---|---|---:|---|---:|")
    lines += [_row(case) for case in cases]
    for case in wrong:
        lines += ["", f"**{_cell(case.name)}**", ""]
        lines += [f"- {_cell(case.error)}"] if case.error else []
        lines += [f"- {one.what}: {_cell(one.words)}" for one in case.failed]
    skipped = dict.fromkeys(
        f"- {_cell(case.name)}: {one.what}: {_cell(one.words)}"
        for case in cases
        for one in case.findings
        if one.status is Status.SKIPPED
    )
    if skipped:
        lines += ["", "<details><summary>Not looked at</summary>", "", *skipped, "", "</details>"]
    return "\n".join(lines) + "\n"


def _row(case: Case) -> str:
    beside = next((one.words for one in case.findings if one.what == "baseline"), "")
    words = [MARKS[case.result], case.check, case.model, case.device, case.runtime, per_call(case), beside, _size(case)]
    return f"| {' | '.join(map(_cell, words))} |"


def per_call(case: Case) -> str:
    """Return what a call costs: instructions, or milliseconds with their interval."""
    found = case.measurement and case.measurement.summary
    if not found:
        return ""
    if found.insns_per_call is not None:
        return f"{found.insns_per_call:,.0f} instructions"
    if found.median_ms is None:
        return ""
    interval = f" ({found.ci95_ms[0]:.4g} to {found.ci95_ms[1]:.4g})" if found.ci95_ms else ""
    return f"{found.median_ms:.4g} ms{interval}"


def _size(case: Case) -> str:
    size = case.measurement.subject.artifact_bytes if case.measurement else 0
    return f"{size:,} bytes" if size else ""


def _cell(text: str) -> str:
    """Return text that cannot break out of a table's cell or become markup."""
    for letter in "\\`*_<>[]|":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())
