"""The outcome of checks as JUnit XML, which CI systems show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from epoch_sql.characters import visible


def write(file: Path, suite: str, outcomes: Sequence[dict[str, Any]]) -> None:
    """Writes one test suite, with a test case for each row of ``epoch_check_report``."""
    failures = sum(row["failing_rows"] is not None and not row["passed"] for row in outcomes)
    errors = sum(row["failing_rows"] is None for row in outcomes)
    counts = {"tests": str(len(outcomes)), "failures": str(failures), "errors": str(errors)}
    root = ElementTree.Element("testsuites", counts)
    element = ElementTree.SubElement(root, "testsuite", {"name": visible(suite), **counts})
    for row in outcomes:
        case = ElementTree.SubElement(element, "testcase", {"classname": visible(suite), "name": visible(row["name"])})
        if row["passed"]:
            continue
        if row["failing_rows"] is None:
            ElementTree.SubElement(case, "error", {"message": visible(row["problem"])})
            continue
        failure = ElementTree.SubElement(case, "failure", {"message": f"{row['failing_rows']} failing rows"})
        failure.text = "\n".join(visible(json.dumps(first, ensure_ascii=False)) for first in row["first_rows"])
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
