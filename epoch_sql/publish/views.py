"""The views of a state, as ``epoch_at`` of a published file reads them: the text that the package binds, with marks
where the rows of tables belong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from epoch_sql import render
from epoch_sql.call import Call, is_trusted
from epoch_sql.errors import EpochError
from epoch_sql.model.commit import Tree
from epoch_sql.model.schema import SchemaObject
from epoch_sql.proof.definitions import Definition, Parsed, called, take_apart_own
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, Uses, offences, uses_of
from epoch_sql.query.query import view_over
from epoch_sql.render import Sql
from epoch_sql.versions.sides import TableSide, tree_side

_MARK = re.compile("\0(.*?)\0")
"""The id of a version, in the place of its rows. No text that DuckDB prints has this character."""


class Refused(Exception):
    """A relation cannot be read in a published file. ``text`` is a query that says so."""

    def __init__(self, definition: Definition, reason: str) -> None:
        message = f"{called(definition)} cannot be read in this file: {reason}"
        self.text = render.fill("FROM query(error({{message}}))", message=render.literal(message))
        super().__init__(message)


Known = Mapping[Definition, tuple[Parsed, Uses]]
"""Views with their syntax trees, and what these use."""


def known_views(trees: Iterable[Tree]) -> Known:
    """The views of trees, each taken apart once."""
    views = dict.fromkeys(o for tree in trees for o in tree.objects if o.kind == "view")
    if not views:
        return {}
    with shut_in() as engine:
        return {one.definition: (one, uses_of(one.trees[0])) for one in take_apart_own(engine, [*views])}


class Views:
    """The views of one state, which ``known`` has."""

    def __init__(self, call: Call, tree: Tree, known: Known) -> None:
        self.call = call
        self.tree = tree
        self.all = [o for o in tree.objects if o.kind == "view"]
        self._known = known
        self._relations: dict[tuple[str, str], str | SchemaObject] = {
            **{view.name.folded: view for view in self.all},
            **{entry.name.folded: entry.version_id for entry in tree.tables.values()},
        }
        self._named: dict[str, list[tuple[str, str]]] = {}
        for folded in self._relations:
            self._named.setdefault(folded[1], []).append(folded)
        self._macros, self._types = (
            {o.name.name.lower() for o in tree.objects if o.kind == kind} for kind in ("macro", "type")
        )

    def key(self, view: SchemaObject) -> object:
        """What the text of a view depends on, so that it has the same text wherever that is the same."""
        read = self._read(view)
        words = {w for v in (view, *_views(read)) for w in self._words(v)} & (self._macros | self._types)
        schemas = frozenset(o.name.as_schema for o in self.tree.objects if o.kind == "schema")
        return view, frozenset(read.items()), frozenset(words), schemas

    def pieces(self, view: SchemaObject) -> Iterator[tuple[str, bool]]:
        """The pieces of the text of a view, and for each whether it is the id of a version, of which the rows belong
        there.

        Raises Refused if it does more than compute from tables and views of its state.
        """
        for one in (view, *_views(self._read(view))):
            reason = self._reason(one)
            if reason:
                raise Refused(one, reason)
        try:
            text = view_over(self.call, tree_side(self.call.contents, self.tree), view, _marked)
        except EpochError as error:
            raise Refused(view, error.message) from error
        for number, piece in enumerate(_MARK.split(text)):
            yield piece, number % 2 == 1

    def _read(self, view: SchemaObject) -> dict[tuple[str, str], str | SchemaObject]:
        """The tables and views that a view may read, directly or in other views."""
        found: dict[tuple[str, str], str | SchemaObject] = {}
        pending = [view]
        while pending:
            names = {name for *_, name in self._known[pending.pop()][1].relations}
            new = {f: self._relations[f] for n in names for f in self._named.get(n, ()) if f not in found}
            found |= new
            pending += _views(new)
        return found

    def _reason(self, view: SchemaObject) -> str | None:
        """Why a view is not read where there is only a file of its tables."""
        if not is_trusted(self.call, view):
            return "it came from a remote that is not trusted"
        parsed, uses = self._known[view]
        words = self._words(view)
        for names, reason in (
            (words & self._macros, "it calls macro {}"),
            (words & self.call.memory.own_macros, "it calls {}"),
            (uses.types & self._types, "it uses type {}, which may be another one in this file"),
            (
                {n for *_, n in uses.relations} - uses.common - self._named.keys(),
                "it reads {}, which is not of its commit",
            ),
        ):
            if names:
                return reason.format(min(names))
        context = Context((), lambda *name: name in self._relations, frozenset())
        return offences([parsed], context).get(view)

    def _words(self, view: SchemaObject) -> set[str]:
        """The functions and types that a view names."""
        _, uses = self._known[view]
        return uses.functions | uses.table_functions | uses.types


def _views(relations: Mapping[tuple[str, str], str | SchemaObject]) -> list[SchemaObject]:
    return [relation for relation in relations.values() if isinstance(relation, SchemaObject)]


def _marked(side: TableSide, _bare: bool) -> Sql:
    return Sql(f"\0{side.version_id}\0")
