"""The gate's answer for machines: gate.json, JUnit XML, and a summary for GitHub's job page."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from leaderboard.gate import SCHEMA_VERSION, GateResult, Verdict
from submission import atomic
from submission.errors import shown

# XML 1.0 has no way to write these, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# What `write` takes: the answer as JSON, as JUnit XML, as Markdown.
Forms = tuple[dict[str, Any], bytes, str]


def answered(result: GateResult) -> Forms:
    """The answer for an entry that was judged."""
    return _as_json(result), _junit(result), _markdown(result)


def _as_json(result: GateResult) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "passed": result.verdict is Verdict.BEATS,
        "exit_code": result.exit_code,
        "verdict": str(result.verdict),
        "answer": result.answer,
        "reason": result.reason,
        "competition": result.competition,
        "tier": result.tier,
        "name": result.entry.name,
        "submission": result.entry.submission,
        "n": result.entry.n,
        "basis": result.basis,
        "trusted": None if result.entry.trusted is None else asdict(result.entry.trusted),
        "metrics": [
            {
                "metric": check.metric.name,
                "value": check.score.value,
                "low": check.score.low,
                "high": check.score.high,
                "threshold": check.threshold,
                "direction": "higher" if check.metric.higher_is_better else "lower",
                "difference": check.difference,
                "verdict": str(check.verdict),
                "passed": check.verdict is Verdict.BEATS,
                "reason": check.reason,
            }
            for check in result.checks
        ],
        "rules": [asdict(check) for check in result.entry.rules],
    }


def _junit(result: GateResult) -> bytes:
    """One test case for each threshold. What cannot be told is a failure too: the gate stays shut."""
    suite = ElementTree.Element("testsuite", name="drawoff gate")
    if result.entry.trusted is not None:
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="basis", value=_xml(result.basis))
    for check in result.checks:
        got = "no value" if check.score.value is None else f"got {check.cells[0]}"
        failure = None if check.verdict is Verdict.BEATS else f"{check.verdict}: {check.reason or got}"
        _case(suite, f"gate.{check.metric.name}", check.requirement, failure)
    for rule in result.entry.rules:
        _case(suite, "gate.rules", rule.rule, None if rule.passed else rule.reason)
    if result.verdict is not Verdict.BEATS and not suite.findall("testcase/failure"):
        _case(suite, "gate", f"tier {result.tier}", f"{result.verdict}: {result.reason}")
    return _xml_bytes(suite)


def refused(exit_code: int, message: str, problems: Sequence[Mapping[str, str]]) -> Forms:
    """The answer for an entry that could not be judged at all: `invalid` for a submission or competition that breaks
    rules, `not judged` for what the command lacked. `problems` each have a `name`, `what` and `hint`."""
    verdict = "invalid" if exit_code == 3 else "not judged"
    text = message.encode("utf-8", "backslashreplace").decode()  # a name that is not UTF-8 has lone surrogates
    values = {
        "schema_version": SCHEMA_VERSION,
        "passed": False,
        "exit_code": exit_code,
        "verdict": verdict,
        "reason": text,
        "problems": [dict(problem) for problem in problems],
        "metrics": [],
    }
    suite = ElementTree.Element("testsuite", name="drawoff gate")
    case = _case(suite, "gate", "submission", None)
    said = _xml(f"{verdict}: {message.splitlines()[0]}")
    ElementTree.SubElement(case, "error", message=said).text = _xml(message)
    # The message as it is, in a fence that it cannot end.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return values, _xml_bytes(suite), f"### ❌ {verdict}\n\n{fence}text\n{text}\n{fence}\n"


def _markdown(result: GateResult) -> str:
    mark = {Verdict.BEATS: "✅", Verdict.FAILS: "❌", Verdict.UNKNOWN: "❔"}
    lines = [
        f"### {mark[result.verdict]} {markdown_text(result.headline)}",
        "",
        markdown_text(result.reason) + ".",
        "",
        "| | threshold | measured | 95 % interval | difference |",
        "|---|---|---:|---:|---:|",
    ]
    for check in result.checks:
        value, difference, interval = check.cells
        lines.append(f"| {mark[check.verdict]} | {check.requirement} | {value} | {interval} | {difference} |")
    for rule in result.entry.rules:
        if rule.passed is False:
            lines.append(f"| ❌ | {markdown_text(rule.rule)} | {markdown_text(rule.reason)} | | |")
    of = f"{result.entry.n} images, submission `{result.entry.submission[:12]}`"
    return "\n".join([*lines, "", f"{of}, {markdown_text(result.basis)}", ""])


def write(json_path: Path | None, junit_path: Path | None, forms: Forms) -> None:
    """Write the answer where it was asked for, and to the job summary that GitHub names in `$GITHUB_STEP_SUMMARY`."""
    values, xml, summary = forms
    if json_path is not None:
        atomic.write_json(json_path, values)
    if junit_path is not None:
        atomic.write_bytes(junit_path, xml)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(path).open("a", encoding="utf-8") as file:
                file.write(summary + "\n")
        except OSError as error:  # the answer is another's to give: the exit code, the files that were asked for
            print(f"the job summary could not be written: {shown(path)}: {error.strerror}", file=sys.stderr)


def _case(suite: ElementTree.Element, classname: str, name: str, failure: str | None) -> ElementTree.Element:
    case = ElementTree.SubElement(suite, "testcase", classname=classname, name=_xml(name))
    if failure is not None:
        ElementTree.SubElement(case, "failure", message=_xml(failure))
    return case


def _xml_bytes(suite: ElementTree.Element) -> bytes:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", str(sum(case.find("error") is not None for case in cases)))
    ElementTree.indent(suite)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _xml(text: str) -> str:
    return _NOT_XML.sub("�", text)


def markdown_text(text: str) -> str:
    """Foreign text, on one line, that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#|!~>@])", r"\\\1", escape(" ".join(text.split()), quote=False))
