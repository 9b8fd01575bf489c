"""The protection of a branch, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .session import Session, call

_WORDS = {
    "require_review": "review required",
    "no_force_push": "no force push",
    "allow_self_review": "self-review allowed",
    "require_fresh": "no stale tables",
}


def protection_of(session: Session, branch: str | None) -> dict[str, Any] | None:
    """The row of ``epoch_protections`` of a branch, if it is protected."""
    return next((row for row in session.read(call("epoch_protections")) if row["branch"] == branch), None)


def protection(row: Mapping[str, Any]) -> str:
    """``review required, no force push``."""
    return ", ".join(words for flag, words in _WORDS.items() if row.get(flag))
