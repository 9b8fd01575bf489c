"""Proves deltas on top of each other, many at once, from the rows of their base levels and their shifts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import FINGERPRINT_BITS, DataFile, Level, Version
from epoch_sql.model.remote import damaged
from epoch_sql.model.schema import Table
from epoch_sql.storage.file_proof import Prover, Shift, Step
from epoch_sql.storage.key_ranges import may_hold, range_of

Chain = tuple[str | None, ...]
"""The files of a version: those of its base level as one text (None: no rows), and the deltas on it."""
Sum = tuple[int, int]
"""A number of rows, and the sum of their hashes."""


@dataclass(frozen=True)
class State:
    """A version with its levels. ``where`` is its document, or None for a local version, which needs no proof.

    It is ``plain`` if all its files have the columns of its own definition.
    """

    version: Version
    table: Table
    levels: tuple[Level, ...]
    where: str | None
    plain: bool

    @property
    def chain(self) -> Chain:
        """Its files."""
        base = ",".join(file.file_id for file in self.levels[0].files)
        deltas = [file.file_id for level in self.levels[1:] for file in level.files]
        return (base or None, *deltas)

    @property
    def sum(self) -> Sum:
        """The number and hash sum of its rows, according to its name."""
        return self.version.row_count, int(self.version.fingerprint, 16)


@dataclass(frozen=True)
class Edge:
    """A delta between two versions, and its document."""

    before: State
    after: State
    level: Level
    where: str
    plain: bool


def signature(table: Table) -> tuple[object, ...]:
    """Equal for definitions under which the same row has the same hash and the same key."""
    return tuple((c.id, c.type) for c in table.stored_columns), tuple(c.id for c in table.key)


def prove_steps(
    prover: Prover,
    tables: Mapping[str, Table],
    bases_here: Callable[[Iterable[str]], Iterable[State]],
    states: Iterable[State],
    edges: Iterable[Edge],
) -> None:
    """Prove plain versions, and plain deltas between plain versions.

    ``tables`` are definitions by id. ``bases_here`` gives the local versions that are one base level with one of some
    files.
    """
    groups: dict[tuple[object, ...], _Group] = {}

    def group(state: State) -> _Group:
        return groups.setdefault(_kind(state), _Group(prover, tables, bases_here, state))

    for state in states:
        group(state).states.append(state)
    for edge in edges:
        group(edge.after).edges.append(edge)
    for found in groups.values():
        found.prove()


def _kind(state: State) -> tuple[object, ...]:
    return state.version.table_id, *signature(state.table)


class _Group:
    """The versions of a table under one signature."""

    def __init__(
        self,
        prover: Prover,
        tables: Mapping[str, Table],
        bases_here: Callable[[Iterable[str]], Iterable[State]],
        one: State,
    ) -> None:
        self.prover = prover
        self.tables = tables
        self.bases_here = bases_here
        self.kind = _kind(one)
        self.table = one.table
        self.states: list[State] = []
        self.edges: list[Edge] = []

    def prove(self) -> None:
        told = [state for edge in self.edges for state in (edge.before, edge.after)]
        self._bases = {s.chain[0]: s.levels[0].files for s in (*self.states, *told)}
        self._sums: dict[Chain, Sum] = {s.chain: s.sum for s in told if s.where is None}
        where = self._steps()
        self._shifts = self._read(where)
        for state in self.states:
            assert state.where
            if self._sum(state.chain) != state.sum:
                raise other_rows(state.where, self.table)
        for edge in self.edges:
            chain = _after(edge)
            # An edge without a file ends in the chain that it begins with, whose last file is another delta's.
            if edge.level.files:
                self._require_right(chain, edge.where, edge.level)
            if self._sum(chain) != edge.after.sum:
                raise other_rows(edge.where, self.table)

    def _steps(self) -> dict[Chain, tuple[str, Level]]:
        """The deltas to read, as the chains that end with them, and their documents."""
        steps: dict[Chain, tuple[str, Level]] = {}
        self._unknown: dict[Chain, str] = {}
        for state in self.states:
            assert state.where
            chain = state.chain
            known = max((n for n in range(1, len(chain) + 1) if chain[:n] in self._sums), default=0)
            if not known and chain[0] is not None:
                self._unknown.setdefault(chain[:1], state.where)
            for end in range(max(known, 1) + 1, len(chain) + 1):
                steps.setdefault(chain[:end], (state.where, state.levels[end - 1]))
        for edge in self.edges:
            if edge.level.files:
                steps.setdefault(_after(edge), (edge.where, edge.level))
        return steps

    def _read(self, steps: dict[Chain, tuple[str, Level]]) -> dict[Chain, Shift]:
        self._sums[None,] = 0, 0
        if self._unknown:
            self._sum_bases()
        if not steps:
            return {}
        chains = [*steps]
        near = {chain: self._near(chain[0], level) for chain, (_, level) in steps.items()}
        asked = [
            Step(chain[0], tuple(f.file_id for f in near[chain]), tuple(map(str, chain[1:-1])), str(chain[-1]))
            for chain in chains
        ]
        files = {file.file_id: file for found in near.values() for file in found}
        with telling(next(iter(steps.values()))[0], "has rows that cannot be read"):
            found = self.prover.shifts(asked, self._by_definition(files.values()), self.table)
        shifts = {chain: found[n] for n, chain in enumerate(chains) if n in found}
        self._shifts = shifts
        for chain, (where, level) in steps.items():
            self._require_right(chain, where, level)
        return shifts

    def _sum_bases(self) -> None:
        """Sum up the rows of the unknown base levels.

        A base level shares files with the one that it was made from. So only the files are read in which it differs
        from a known one.
        """
        self._bases[None] = ()
        unknown = {file.file_id for chain in self._unknown for file in self._bases[chain[0]]}
        for state in self.bases_here(unknown):
            if state.plain and _kind(state) == self.kind:
                self._bases[state.chain[0]] = state.levels[0].files
                self._sums[state.chain] = state.sum
        known = [chain for chain in self._sums if len(chain) == 1]
        steps = {
            chain: min((self._differing(other, chain) for other in known), key=_Differing.cost)
            for chain in self._unknown.keys() - self._sums.keys()
        }
        files = {file.file_id: file for step in steps.values() for file in (*step.removed, *step.added)}
        with telling(next(iter(self._unknown.values())), "has rows that cannot be read"):
            told = self.prover.bases(self._by_definition(files.values()), self.table)
        for chain, step in steps.items():
            removed, added = ([told.get(f.file_id, (0, 0, 0)) for f in part] for part in (step.removed, step.added))
            # The ranges of files are proved, and apart. So no key is in two of them.
            if any(keys != rows for rows, keys, _ in added):
                raise other_rows(self._unknown[chain], self.table)
            count, total = self._sums[step.start]
            count += sum(rows for rows, *_ in added) - sum(rows for rows, *_ in removed)
            total += sum(one for *_, one in added) - sum(one for *_, one in removed)
            self._sums[chain] = count, total % (1 << FINGERPRINT_BITS)

    def _differing(self, start: Chain, end: Chain) -> _Differing:
        before, after = (frozenset(self._bases[chain[0]]) for chain in (start, end))
        return _Differing(start, before - after, after - before)

    def _near(self, base: str | None, level: Level) -> list[DataFile]:
        """The files of a base level that may hold keys of a delta."""
        keys = range_of(level.files[0])
        return [file for file in self._bases.get(base, ()) if keys is None or may_hold(file, keys)]

    def _by_definition(self, files: Iterable[DataFile]) -> dict[Table, list[str]]:
        """Base files by the definitions that they were written with."""
        found: dict[Table, list[str]] = {}
        for file in sorted(files, key=lambda file: file.file_id):
            found.setdefault(self.tables[file.schema_id], []).append(file.file_id)
        return found

    def _require_right(self, chain: Chain, where: str, level: Level) -> None:
        shift = self._shifts.get(chain)
        if shift is None or shift.wrong or shift.keys != shift.rows or shift.counts != level.rows:
            raise other_rows(where, self.table)

    def _sum(self, chain: Chain) -> Sum:
        """The number and hash sum of the rows of a chain."""
        missing = []
        while chain not in self._sums:
            missing.append(chain)
            chain = chain[:-1]
        for longer in reversed(missing):
            count, total = self._sums[longer[:-1]]
            shift = self._shifts[longer]
            total = (total - shift.minus + shift.plus) % (1 << FINGERPRINT_BITS)
            self._sums[longer] = count + shift.counts.added - shift.counts.removed, total
        return self._sums[missing[0] if missing else chain]


@dataclass(frozen=True)
class _Differing:
    """The files in which a base level differs from a known one (``start``)."""

    start: Chain
    removed: frozenset[DataFile]
    added: frozenset[DataFile]

    def cost(self) -> int:
        """The number of rows to read."""
        return sum(file.row_count for file in (*self.removed, *self.added))


def other_rows(where: str, table: Table) -> EpochStorageError:
    """The error for a document whose files do not hold the rows that it names."""
    return damaged(where, f"does not have the rows that it names, of table {table.name}")


@contextmanager
def telling(where: str, problem: str) -> Iterator[None]:
    """Turns errors of DuckDB about files into errors about the document that names them."""
    try:
        yield
    except duckdb.Error as error:
        raise damaged(where, f"{problem}: {str(error).strip().splitlines()[0]}") from error


def _after(edge: Edge) -> Chain:
    return (*edge.before.chain, *(file.file_id for file in edge.level.files))
