"""Patterns of table names: which tables are ignored, and which are derived."""

from __future__ import annotations

from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.call import Call
from epoch_sql.catalog.local import PatternKind, Patterns
from epoch_sql.errors import EpochTableError
from epoch_sql.model.names import quoted, suggest


def change_pattern(
    call: Call, kind: PatternKind, pattern: str, remove: bool, *, unless: str, listing: Suggestion
) -> None:
    """Add a pattern, or take it back.

    Raises EpochTableError where there is none to take back: ``unless`` says what the pattern is not, and
    ``listing`` lists those that there are.
    """
    call.require_working_tables()
    with call.moving():
        patterns = Patterns(call.cursor)
        known = patterns.load()[kind]
        if remove and pattern not in known:
            advice = did_you_mean(suggest(pattern, known)) or listing
            raise EpochTableError(f"{quoted(pattern)} is not {unless}", advice)
        if remove:
            patterns.remove(kind, pattern)
        elif pattern not in known:
            patterns.add(kind, pattern)
