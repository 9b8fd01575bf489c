"""Scenarios of merging: what they say, and how many of them are played in one repository, each in a schema of its own.

A scenario is an ancestor and what two sides make of it, as SQL over unqualified names. It is played in both directions:
ours and theirs change places, and with them the kinds of conflicts and the sides of resolutions, so that the same rows
are expected.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from epoch_sql.merge.engine import is_as_recorded
from epoch_sql.model.names import ObjectName, parse_name
from tests.conftest import Repo, opened

Row = tuple[Any, ...]

_OTHER = {
    "ours": "theirs",
    "theirs": "ours",
    "modify/delete": "delete/modify",
    "delete/modify": "modify/delete",
}


class Shown(str):
    """JSON exactly as ``epoch_conflicts`` lists it."""


@dataclass(frozen=True)
class Conflict:
    """A row of ``epoch_conflicts``.

    A key that is no dict and no JSON is the value of a column ``id``; ``...`` is any value; a table or column with two
    names is called by ours first.
    """

    table: str | tuple[str, str]
    key: Any
    column: str | tuple[str, str] | None
    kind: str
    base: Any
    ours: Any
    theirs: Any

    @property
    def mirrored(self) -> Conflict:
        kind = _OTHER.get(self.kind, self.kind)
        table, column = _swapped(self.table), _swapped(self.column)
        return Conflict(table, self.key, column, kind, self.base, self.theirs, self.ours)

    @property
    def row(self) -> Row:
        values = (_text(value) for value in (self.base, self.ours, self.theirs))
        return (_first(self.table), _key(self.key), _first(self.column), self.kind, *values)


@dataclass(frozen=True)
class Violation:
    """A row of ``epoch_violations``; ``detail`` is part of what it says."""

    table: str
    key: Any
    kind: str
    detail: str = ""

    @property
    def row(self) -> Row:
        return (self.table, _key(self.key), self.kind)


@dataclass(frozen=True)
class Resolve:
    """A call of ``epoch_resolve``."""

    table: str
    side: str | None = None
    key: Any = None
    column: str | None = None
    value: str | None = None

    @property
    def mirrored(self) -> Resolve:
        return Resolve(self.table, _OTHER.get(self.side or "", self.side), self.key, self.column, self.value)


@dataclass(frozen=True)
class Scenario:
    """An ancestor, two sides, and the merge of them.

    ``rows`` are the rows of a table, or of a query, after the merge, and after ``resolve`` where there are
    ``conflicts`` or ``violations``; what ``resolve`` leaves open is settled for ours. ``swapped`` are the rows that
    differ when theirs is the target. ``after``, a query and its rows, is run on the merged working tables.
    """

    name: str
    base: str
    ours: str
    theirs: str
    rows: Mapping[str, Sequence[Row]]
    conflicts: Sequence[Conflict] = ()
    violations: Sequence[Violation] = ()
    resolve: Sequence[Resolve] = ()
    swapped: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    alone: bool = False
    """Whether it needs a repository, and schema main, of its own."""


@dataclass
class Played:
    """What was found of one scenario in one direction."""

    conflicts: list[Row] = field(default_factory=list)
    violations: list[Row] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    previewed: dict[str, Row] = field(default_factory=dict)
    stat: dict[str, Row] = field(default_factory=dict)
    rows: dict[str, list[Row] | str] = field(default_factory=dict)


def play(repo: Repo, scenarios: Sequence[Scenario], mirrored: bool, remade: bool) -> dict[str, Played]:
    """Play scenarios in one empty repository, theirs into ours or, if mirrored, ours into theirs; by name.

    With ``remade``, the merge is also made again from what it records, as a push to a branch with review does.
    """
    schemas = {s.name: "main" if s.alone else f"s{n}" for n, s in enumerate(scenarios)}

    def build(side: Callable[[Scenario], str]) -> None:
        for scenario in scenarios:
            _within(repo, schemas[scenario.name], side(scenario), scenario.name)

    for name in schemas.values():
        repo(f"CREATE SCHEMA IF NOT EXISTS {name}")
    build(lambda s: s.base)
    repo("CALL epoch_init('ours')")
    repo("CALL epoch_branch('theirs')")
    build(lambda s: s.ours)
    repo("CALL epoch_commit('ours', allow_empty := true)")
    repo("CALL epoch_checkout('theirs')")
    build(lambda s: s.theirs)
    repo("CALL epoch_commit('theirs', allow_empty := true)")
    repo("CALL epoch_tag('theirs-before')")
    repo("CALL epoch_checkout('ours')")
    repo("CALL epoch_tag('ours-before')")
    found = _merge(repo, scenarios, schemas, mirrored)
    target = "theirs" if mirrored else "ours"
    if remade:
        with opened(repo) as call, call.trying():
            assert is_as_recorded(call, call.commit(target)), "the merge is not what it records"
    repo("CALL epoch_checkout(?)", target)
    assert repo.status() == []
    for scenario in scenarios:
        _look(repo, scenario, schemas[scenario.name], found[scenario.name])
    return found


def _merge(repo: Repo, scenarios: Sequence[Scenario], schemas: Mapping[str, str], mirrored: bool) -> dict[str, Played]:
    source, target = ("ours-before", "theirs") if mirrored else ("theirs-before", "ours")
    found = {s.name: Played() for s in scenarios}
    by_schema = {schema: found[name] for name, schema in schemas.items()}
    for table, *counts, _ in repo("FROM epoch_preview_merge(?, target := ?)", source, target):
        one, name = _of(by_schema, table)
        one.previewed[name] = tuple(counts)
    foreseen = {name: repo(f"FROM {query}", source, target) for name, query in _PREVIEWS.items()}
    typed = {t: _typed(repo, "epoch_preview_diff(?, target := ?", source, target, t) for t, *_ in foreseen["stat"]}
    stops = any(s.conflicts or s.violations for s in scenarios)
    try:
        repo("CALL epoch_merge(?, target := ?)", source, target)
    except duckdb.Error as error:
        if "EpochConflict" not in str(error):
            raise
        stops = True
    else:
        assert not stops, "the merge did not stop"
    assert foreseen["conflicts"] == repo("FROM epoch_conflicts(target := ?)", target)
    in_conflict = {(row[0], row[1]) for row in foreseen["conflicts"] if row[1]}
    assert not in_conflict & {(row[0], row[2]) for row in foreseen["diff"]}, "a row in conflict is previewed"
    if not stops:
        made = {name: repo(f"FROM {query}", f"{target}-before", target) for name, query in _MADE.items()}
        assert {name: sorted(rows, key=str) for name, rows in made.items()} == {
            name: sorted(foreseen[name], key=str) for name in made
        }, "the merge did something else than its preview"
        for table, rows in typed.items():
            assert rows == _typed(repo, "epoch_diff(?, ?", f"{target}-before", target, table), table
    if stops:
        _list(repo, by_schema, target)
        _resolve(repo, scenarios, schemas, target, mirrored)
        repo("CALL epoch_merge_continue(target := ?)", target)
    for table, added, modified, removed in repo(
        "SELECT table_name, rows_added, rows_modified, rows_removed FROM epoch_diff_stat(?, ?)",
        f"{target}-before",
        target,
    ):
        one, name = _of(by_schema, table)
        one.stat[name] = (added, modified, removed)
    return found


_PREVIEWS = {
    "diff": "epoch_preview_diff(?, target := ?)",
    "stat": "epoch_preview_diff_stat(?, target := ?)",
    "schema": "epoch_preview_schema_diff(?, target := ?)",
    "conflicts": "epoch_preview_conflicts(?, target := ?)",
}
_MADE = {"diff": "epoch_diff(?, ?)", "stat": "epoch_diff_stat(?, ?)", "schema": "epoch_schema_diff(?, ?)"}


def _typed(repo: Repo, call: str, from_ref: str, to_ref: str, table: str) -> tuple[list[str], list[str]]:
    """The columns and the rows of a difference of one table, as texts: NaN equals itself."""
    query = f"FROM {call}, table_name := ?)"
    found = repo.con.execute(query, [from_ref, to_ref, table])
    return [column[0] for column in found.description], sorted(map(str, found.fetchall()))


def _list(repo: Repo, by_schema: Mapping[str, Played], target: str) -> None:
    for row in repo("FROM epoch_conflicts(target := ?)", target):
        one, name = _of(by_schema, row[0])
        prefix = "" if name == row[0] or parse_name(row[0]).schema == "main" else f"{parse_name(row[0]).schema}."
        one.conflicts.append((name, *(v.replace(f'"{prefix}', '"') if prefix and v else v for v in row[1:7])))
    for table, _, kind, key, detail in repo("FROM epoch_violations(target := ?)", target):
        one, name = _of(by_schema, table)
        one.violations.append((name, key, kind))
        one.details.append(detail)


def _resolve(
    repo: Repo, scenarios: Sequence[Scenario], schemas: Mapping[str, str], target: str, mirrored: bool
) -> None:
    for scenario in scenarios:
        for given in scenario.resolve:
            one = given.mirrored if mirrored else given
            key = None if one.key is None else one.key if isinstance(one.key, str) else json.dumps(one.key)
            schema = schemas[scenario.name]
            table = str(ObjectName(schema, one.table)) if one.table else one.table
            try:
                repo(
                    "CALL epoch_resolve(?, side := ?, key := ?, column_name := ?, value := ?, target := ?)",
                    table, one.side, key, one.column, one.value, target,
                )  # fmt: skip
            except duckdb.Error as error:
                raise AssertionError(f"{scenario.name}: {one}: {error}") from error
    if repo.one("SELECT count(*) FROM epoch_conflicts(target := ?) WHERE NOT resolved", target):
        repo("CALL epoch_resolve(side := ?, target := ?)", "theirs" if mirrored else "ours", target)


def _look(repo: Repo, scenario: Scenario, schema: str, played: Played) -> None:
    repo(f"USE {schema}")
    for wanted in scenario.rows:
        query = wanted if " " in wanted else f"FROM {wanted} ORDER BY ALL"
        try:
            played.rows[wanted] = repo(query)
        except duckdb.Error as error:
            played.rows[wanted] = str(error)
    repo("USE main")


def _within(repo: Repo, schema: str, sql: str, name: str) -> None:
    if not sql:
        return
    repo(f"USE {schema}")
    try:
        repo(sql)
    except duckdb.Error as error:
        raise AssertionError(f"{name}: {sql}: {error}") from error
    finally:
        repo("USE main")


def _of(by_schema: Mapping[str, Played], table: str) -> tuple[Played, str]:
    found = parse_name(table)
    if found.schema != "main" and found.schema in by_schema:
        return by_schema[found.schema], found.name
    return by_schema.get("main") or by_schema[table], table


def _swapped(name: Any) -> Any:
    return name[::-1] if isinstance(name, tuple) else name


def _first(name: Any) -> Any:
    return name[0] if isinstance(name, tuple) else name


def _key(value: Any) -> str | None:
    """A key's JSON: of a dict, or of the value of a column id; a text that is JSON already stays."""
    if isinstance(value, str) and value.startswith("{"):
        return value
    return _text(value if isinstance(value, dict) or value is None else {"id": value})


def _text(value: Any) -> str | None:
    """JSON as it is listed; a text that is ``Shown`` as it stands already is."""
    if isinstance(value, Shown):
        return str(value)
    return None if value is None or value is ... else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
