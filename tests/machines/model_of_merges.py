"""Two tables under version control in plain Python: dictionaries, merged cell by cell, to compare Epoch with.

``items`` has the key ``id`` and columns that come, go and change their names; ``events`` is a bag of numbers. Nothing
of the product is used here but the commit graph and its undos, which have tests of their own (tests/model/test_undo.py).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from epoch_sql.model.graph import NO_UNDO, CommitGraph, Undo
from epoch_sql.model.undo import MergePlan, plan_merge

Value = int | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class Column:
    """``identity`` is the name that the column was made with; no name is used for two columns of one branch.

    ``fill`` is what rows got that were there before it.
    """

    identity: str
    name: str
    default: Value
    fill: Value = None


@dataclass(frozen=True)
class State:
    """The content of a database: rows by id, each by the identity of its columns, and how often each event is there."""

    columns: tuple[Column, ...]
    items: Mapping[int, Row]
    events: Counter[int]

    def by_name(self) -> list[dict[str, Value]]:
        """The items as SQL gives them, by id."""
        rows = sorted(self.items.items())
        return [{"id": key, **{c.name: row[c.identity] for c in self.columns}} for key, row in rows]

    def column(self, identity: str) -> Column | None:
        return next((c for c in self.columns if c.identity == identity), None)

    def same_items(self, other: State) -> bool:
        return (self.columns, self.items) == (other.columns, other.items)


@dataclass(frozen=True)
class Decision:
    """A resolution; table, key and column None mean all."""

    side: str
    key: int | None = None
    column: str | None = None
    value: Value = None
    table: str | None = None


@dataclass(frozen=True)
class Clash:
    """A conflict in the data; ``column`` is the name in the merged table, None for a row removed on one side.

    Of kind ``copies`` it is about an event, its key, and how often it is there.
    """

    key: int
    column: str | None
    kind: str
    values: tuple[Value, Value, Value] | None
    resolved: bool


@dataclass
class Merged:
    """The result of a merge, with what is in its way."""

    state: State
    clashes: list[Clash]
    schema: list[str]
    open_schema: int

    @property
    def open(self) -> int:
        """How many conflicts are not decided."""
        return self.open_schema + sum(not clash.resolved for clash in self.clashes)

    @property
    def stopped(self) -> bool:
        return self.open > 0


def decided(decisions: list[Decision], key: int | None, column: str | None) -> Decision | None:
    """The most specific decision about a cell (column None: about the row; key None: a definition), the last of these."""
    own = [d for d in decisions if d.table in (None, "items") and d.side != "both"]
    covering = [d for d in own if d.key in (None, key) and d.column in (None, column)]
    return max(reversed(covering), key=lambda d: 2 * (d.key is not None) + (d.column is not None), default=None)


def merge(
    base: State,
    ours: State,
    theirs: State,
    decisions: list[Decision],
    strategy: str | None = None,
    everything: bool = False,
) -> Merged:
    """Three-way merge by cells; items that one side alone changed are as there, with the order of their columns.

    ``strategy`` is the side of clashing cells and rows, or with ``everything`` of columns too."""
    fallback = [Decision(strategy)] if strategy else []
    columns, schema, open_schema = _merge_columns(base, ours, theirs, [*(fallback if everything else []), *decisions])
    merged: dict[int, Row] = {}
    clashes: list[Clash] = []
    for key in sorted({*base.items, *ours.items, *theirs.items}):
        row, found = _merge_row(key, columns, base, ours, theirs, [*fallback, *decisions])
        clashes += found
        if row is not None:
            merged[key] = row
    events, found = merge_events(base.events, ours.events, theirs.events, [*fallback, *decisions])
    clashes += found
    if ours.same_items(base):
        columns = theirs.columns
    return Merged(State(columns, merged, events), clashes, schema, open_schema)


def merge_events(
    base: Counter[int], ours: Counter[int], theirs: Counter[int], decisions: list[Decision]
) -> tuple[Counter[int], list[Clash]]:
    """The number of copies that one side alone changed, or a conflict; two equal sides are the result."""
    if ours == theirs:
        return ours, []
    merged: Counter[int] = Counter()
    clashes = []
    for event in sorted({*base, *ours, *theirs}):
        was, mine, yours = base[event], ours[event], theirs[event]
        both = max(mine + yours - was, 0)
        merged[event] = mine if yours == was else yours
        if mine != was and yours != was and (mine or yours):
            own = [d for d in decisions if d.table in (None, "events") and d.key in (None, event) and d.column is None]
            choice = max(reversed(own), key=lambda d: 2 * (d.key is not None) + (d.table is not None), default=None)
            counts = {"ours": mine, "theirs": yours, "base": was, "both": both}
            merged[event] = counts[choice.side if choice else "ours"]
            clashes.append(Clash(event, None, "copies", (was, mine, yours), choice is not None))
    return +merged, clashes


def _merge_columns(
    base: State, ours: State, theirs: State, decisions: list[Decision]
) -> tuple[tuple[Column, ...], list[str], int]:
    """The merged columns, the names of those in conflict, and how many of these are not decided."""
    columns: list[Column] = []
    conflicts: list[str] = []
    undecided = 0
    for identity in dict.fromkeys(c.identity for state in (ours, theirs, base) for c in state.columns):
        old, left, right = (state.column(identity) for state in (base, ours, theirs))
        chosen, clash = _merge_column(
            old, left, right, _changes(base, ours, identity), _changes(base, theirs, identity)
        )
        shown = left if left and right else old
        if clash and shown:
            side = decided([d for d in decisions if d.key is None], None, shown.name)
            conflicts.append(shown.name)
            undecided += side is None
            chosen = {"theirs": right, "base": old}.get(side.side if side else "", left)
            if left and right:
                chosen = chosen or left
        if chosen:
            columns.append(chosen)
    return tuple(columns), conflicts, undecided


def _merge_column(
    old: Column | None, left: Column | None, right: Column | None, left_changes: bool, right_changes: bool
) -> tuple[Column | None, bool]:
    if left and right:
        if left == right or old == right:
            return left, False
        return right, old != left
    present, changes = (left, left_changes) if left else (right, right_changes)
    if old is None or present is None:
        return present if old is None else None, False
    return None, present != old or changes


def _changes(base: State, side: State, identity: str) -> bool:
    """Whether a side changed values of a column in rows that stayed."""
    if not (base.column(identity) and side.column(identity)):
        return False
    return any(key in side.items and side.items[key][identity] != row[identity] for key, row in base.items.items())


def _merge_row(
    key: int, columns: tuple[Column, ...], base: State, ours: State, theirs: State, decisions: list[Decision]
) -> tuple[Row | None, list[Clash]]:
    old, left, right = (_seen(state, base, key, columns) for state in (base, ours, theirs))
    if left is None and right is None:
        return None, []
    if old is None and (left is None or right is None):
        return left if right is None else right, []
    if left is None or right is None:
        present = left if right is None else right
        if present == old:
            return None, []
        kind = "modify/delete" if right is None else "delete/modify"
        side = decided(decisions, key, None)
        chosen = {"ours": left, "theirs": right, "base": old}[side.side if side else "ours"]
        return chosen, [Clash(key, None, kind, None, side is not None)]
    return _merge_cells(key, columns, old, left, right, decisions)


def _merge_cells(
    key: int, columns: tuple[Column, ...], old: Row | None, left: Row, right: Row, decisions: list[Decision]
) -> tuple[Row | None, list[Clash]]:
    row: dict[str, Value] = {}
    clashes: list[Clash] = []
    sides: list[str] = []
    for column in columns:
        i = column.identity
        mine, yours = left[i], right[i]
        was = old[i] if old else None
        if mine == yours or (old and yours == was):
            row[i] = mine
        elif old and mine == was:
            row[i] = yours
        else:
            choice = decided(decisions, key, column.name)
            values = {"ours": mine, "theirs": yours, "base": was, "value": choice.value if choice else None}
            row[i] = values[choice.side if choice else "ours"]
            sides.append(choice.side if choice else "")
            kind = "modify/modify" if old else "add/add"
            clashes.append(Clash(key, column.name, kind, (was, mine, yours), choice is not None))
    whole = decided(decisions, key, None)
    withdrawn = old is None and whole is not None and whole.side == "base" and sides and set(sides) == {"base"}
    return None if withdrawn else row, clashes


def _seen(state: State, base: State, key: int, columns: tuple[Column, ...]) -> Row | None:
    """A row in the merged columns: those that a state lacks are as in the base; a row that it added has their default."""
    row = state.items.get(key)
    if row is None:
        return None
    before = base.items.get(key)
    found = {}
    for column in columns:
        missing = column.default if before is None else before.get(column.identity, column.fill)
        found[column.identity] = row.get(column.identity, missing)
    return found


@dataclass
class InProgress:
    """A merge that stopped."""

    kind: str
    source: str
    ours: str
    theirs: str
    base_state: State
    theirs_state: State
    undo: Undo
    strategy: str | None = None
    squash: bool = False
    decisions: list[Decision] = field(default_factory=list)

    def onto(self, ours: State) -> Merged:
        """What it comes to."""
        return merge(self.base_state, ours, self.theirs_state, self.decisions, self.strategy)


class History:
    """Commits by the ids that Epoch gave them."""

    def __init__(self, first: str, state: State) -> None:
        self.graph = CommitGraph()
        self.states: dict[str, State] = {}
        self.order: list[str] = []
        self.add(first, (), state)

    def add(self, commit: str, parents: tuple[str, ...], state: State, undo: Undo = NO_UNDO) -> None:
        self.graph.add(commit, parents, datetime(2026, 1, 1) + timedelta(seconds=len(self.graph)), undo)
        self.states[commit] = state
        self.order.append(commit)

    def planned(self, plan: MergePlan, ours: str, theirs: str) -> State:
        """The state to merge against; for events, where the bases lie below an undo, git's base with the undo in it."""
        state = self.base(plan.bases)
        undone = (*plan.reapplies, *plan.keeps)
        if not undone:
            return state
        ordinary = self.graph.merge_bases(ours, theirs)
        events = self.base(tuple(ordinary)).events
        for undo in [group.undoing for group in reversed(undone)]:
            parents = self.graph.parents(undo)
            if len(parents) == 1 and not any(self.graph.is_ancestor(undo, base) for base in ordinary):
                before, after = self.states[parents[0]].events, self.states[undo].events
                events, _ = merge_events(before, events, after, [Decision("both")])
        return State(state.columns, state.items, events)

    def base(self, bases: tuple[str, ...]) -> State:
        """The state to merge against; several bases are merged into one, as git's recursive strategy does."""
        if not bases:
            return State((), {}, Counter())
        state = self.states[bases[0]]
        for number, other in enumerate(bases[1:], 1):
            found = {c for one in bases[:number] for c in plan_merge(self.graph, one, other).bases}
            best = [c for c in found if not any(c != d and self.graph.is_ancestor(c, d) for d in found)]
            common = self.base(tuple(sorted(best, key=self.order.index, reverse=True)))
            state = merge(common, state, self.states[other], [], "base", everything=True).state
        return state
