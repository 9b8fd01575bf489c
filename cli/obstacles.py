"""Conflicts and violations of a merge, as lines of text."""

from __future__ import annotations

from typing import Any

from . import diagnostics, output
from .in_progress import Target
from .session import Session, call

_LISTED = 10


def list_open(session: Session, where: Target) -> None:
    """Writes the first open conflicts and violations, one line each."""
    conflicts = call("epoch_conflicts", target=where.branch)
    some = f"LIMIT {_LISTED + 1}"
    cells = f"SELECT table_name, key, coalesce(column_name, ''), kind FROM {conflicts.text} WHERE NOT resolved {some}"
    found = session.query(cells, "table", conflicts.values)
    lines = [f"CONFLICT ({kind}): {_subject(table, key, field)}" for table, key, field, kind in found.cells]
    violations = call("epoch_violations", target=where.branch)
    cells = f"SELECT table_name, key, kind, detail FROM {violations.text} {some}"
    found = session.query(cells, "table", violations.values)
    lines += [f"VIOLATION ({kind}): {_subject(table, key, None)}: {detail}" for table, key, kind, detail in found.cells]
    for line in lines[:_LISTED]:
        diagnostics.message(line)
    if len(lines) > _LISTED:
        diagnostics.message("… and more")


def describe(row: dict[str, Any]) -> str:
    """A conflict or violation in a few words: its table, row and column."""
    return _subject(row["table_name"], row["key"], row.get("column_name"))


def _subject(table: str | None, key: str | None, field: str | None) -> str:
    return " ".join(output.shown(part) for part in (table, key, field) if part)
