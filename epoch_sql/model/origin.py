"""How a commit came about: what it merges, reverts or goes back to, and how its conflicts were resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Resolution:
    """One decision. table_name, key (canonical JSON) and column_name are None if it is for all of them.

    ``side`` is ``ours``, ``theirs``, ``base``, ``both`` (copies of rows) or ``value``. ``value`` is then the text of a
    value of the column's type, or None for NULL. A ``forced`` decision takes a row or a cell from a side even without a
    conflict, for a row that violates a constraint. Without a key, it takes a definition, for one that cannot be
    created.
    """

    table_name: str | None
    key: str | None
    column_name: str | None
    side: str
    value: str | None = None
    forced: bool = False

    @property
    def of_definition(self) -> bool:
        """Whether it takes a definition that is not in conflict."""
        return self.forced and self.key is None and self.column_name is None

    @property
    def by_hand(self) -> bool:
        """Whether it brings in a value that neither side has."""
        return self.side == "value"


@dataclass(frozen=True)
class UndoneCommits:
    """Commits that another one undid (``undone_by``), newest first."""

    undone_by: str
    commits: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """How a commit came about. Later decisions follow it, so it is a part of the commit's id.

    ``source`` is the reference that was merged or gone back to, as the user named it. ``squashes``, ``reverts``,
    ``picks`` and ``rolls_back_to`` are the commit behind a squashed merge, a revert, a cherry-pick or a rollback.
    ``undoes``, ``redoes`` and ``restores`` say which merges it undoes (see ``epoch_sql.model.graph.Undo``).
    ``strategy`` (``ours``, ``theirs``), ``keep_undone`` and ``resolutions`` are how a merge, revert or cherry-pick was
    decided, ``reapplied`` what it brings back that its target had undone, ``kept`` what it keeps that its source had.
    """

    source: str | None = None
    squashes: str | None = None
    reverts: str | None = None
    picks: str | None = None
    rolls_back_to: str | None = None
    undoes: tuple[str, ...] = ()
    redoes: tuple[str, ...] = ()
    restores: str | None = None
    strategy: str | None = None
    keep_undone: bool = False
    resolutions: tuple[Resolution, ...] = ()
    reapplied: tuple[UndoneCommits, ...] = ()
    kept: tuple[UndoneCommits, ...] = ()

    @property
    def named(self) -> str | None:
        """The reference that was merged or gone back to, or else the commit."""
        return self.source or self.reverts or self.picks

    @property
    def undone(self) -> tuple[str, ...]:
        """Every commit that the choice of a merge base depends on. Each is an ancestor."""
        return self.undoes + self.redoes + ((self.restores,) if self.restores else ())

    @property
    def by_hand(self) -> bool:
        """Whether it brings in a value that neither side has."""
        return any(resolution.by_hand for resolution in self.resolutions)


NO_ORIGIN = Origin()


def origin_fields(origin: Origin) -> dict[str, Any]:
    """The origin as JSON."""
    return {
        **vars(origin),
        "undoes": list(origin.undoes),
        "redoes": list(origin.redoes),
        "resolutions": [vars(resolution) for resolution in origin.resolutions],
        "reapplied": [undone_fields(undone) for undone in origin.reapplied],
        "kept": [undone_fields(undone) for undone in origin.kept],
    }


def origin_of(stated: Mapping[str, Any]) -> Origin:
    """The origin that ``origin_fields`` wrote."""
    return Origin(
        **{
            **stated,
            "undoes": tuple(stated["undoes"]),
            "redoes": tuple(stated["redoes"]),
            "resolutions": tuple(Resolution(**resolution) for resolution in stated["resolutions"]),
            "reapplied": tuple(UndoneCommits(u["undone_by"], tuple(u["commits"])) for u in stated["reapplied"]),
            "kept": tuple(UndoneCommits(u["undone_by"], tuple(u["commits"])) for u in stated["kept"]),
        }
    )


def undone_fields(undone: UndoneCommits) -> dict[str, Any]:
    """Undone commits as JSON."""
    return {"undone_by": undone.undone_by, "commits": list(undone.commits)}
