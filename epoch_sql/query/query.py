"""``epoch_query``: a user's query, its text unchanged, with every versioned table and view as of a reference.

DuckDB's own parser finds the tables in the query (``json_serialize_sql``). Epoch adds a WITH query of the same name for
each of them, and DuckDB finds that before the working table. Only a name with a schema has to change in the text, to
the name of its WITH query. So everything that DuckDB can parse works, and literals stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial

import duckdb

from epoch_sql import render
from epoch_sql.advice import Suggestion, did_you_mean
from epoch_sql.call import Call, require_trusted
from epoch_sql.errors import EpochQueryError, EpochTableError, TableNotFound
from epoch_sql.model.names import path_text, suggest
from epoch_sql.model.revisions import parse_revision
from epoch_sql.model.schema import ObjectName, SchemaObject
from epoch_sql.model.sql_text import tokens, top_level
from epoch_sql.query.acting_views import Texts, lowered
from epoch_sql.query.pivots import (
    NAME_VALUES,
    Asking,
    Caller,
    named,
    parsed_query,
    temporary,
    with_values,
)
from epoch_sql.query.table_references import (
    Mention,
    Provable,
    Query,
    Unlocated,
    read_query,
    renamed,
    require_idle,
    require_reading,
    syntax_tree,
)
from epoch_sql.render import Sql
from epoch_sql.verb import relation
from epoch_sql.versions.sides import Side, TableSide, side_of, table_rows

_ELSEWHERE = frozenset({"information_schema", "pg_catalog", "temp", "system", "epoch"})
_READS_BY_NAME = frozenset({"query", "query_table"})
RowsOf = Callable[[TableSide, bool], Sql]


def names_to_ask(
    cursor: duckdb.DuckDBPyConnection, _ref: str, sql: str, database: str, schemas: Sequence[str]
) -> list[Sql]:
    """What ``query_for_caller`` needs from its caller: queries that DuckDB plans there (see ``callers``).

    ``database`` and ``schemas`` are where the caller looks. What would act when it is planned is not asked for.
    """
    asked: dict[Sql, None] = {}
    mentions = parsed_query(cursor, sql).mentions
    names = [lowered(m.parts) for m in mentions if not m.is_file]
    acting = Texts(cursor, ()).acting(names, database, (*schemas, "main"))
    for mention in (mention for mention in mentions if lowered(mention.parts) not in acting):
        if len(mention.parts) == 1:
            asked[temporary(mention.table)] = None
        if not mention.is_file:
            asked[named(mention.parts)] = None
    return list(asked)


def query(call: Call, ref: str, sql: str) -> Provable:
    """The rows of ``sql``, one query, with versioned tables and views as of ``ref``.

    Names without a schema are in schema main. Unversioned relations (ignored, temporary and system tables, files) are
    read as they are. Raises EpochQueryError unless ``sql`` is a query that can be read as of a reference, and
    EpochTableError for a table that does not exist there.
    """
    return query_of(call, side_of(call, ref), ref, sql, parse_revision(ref).is_working)


@relation("epoch_query", also="the columns of the query", asks=names_to_ask)
def query_for_caller(asking: Asking, ref: str, sql: str) -> Provable:
    """The result of a query in which every versioned table and view is as of a reference.

    What is not versioned (ignored, temporary and system tables, data frames, files) is read as it is. Raises
    EpochQueryError for what is not one query, or cannot be read as of a reference, and EpochTableError for a table that
    does not exist there.

    Args:
        ref: a reference, or WORKING
        sql: one query: SELECT, FROM, WITH or VALUES
    """
    call, caller = asking.call, asking.caller
    reader = _Reader(call, side_of(call, ref), ref, parse_revision(ref).is_working, caller)
    searched = tuple(dict.fromkeys((*caller.schemas, "main")))
    return reader.provable(lambda: reader.rewritten(sql, searched, ()))


def query_of(call: Call, side: Side, name: str, sql: str, working: bool, what: str = "epoch_query") -> Provable:
    """The rows of ``sql`` as in ``query``, of any state; ``name`` is how messages call it, and ``what`` the query.

    ``working`` says that the state is the working tables. Names without a schema are in schema main.
    """
    reader = _Reader(call, side, name, working, what=what)
    return reader.provable(lambda: reader.rewritten(sql, ("main",), ()))


def view_of(call: Call, side: Side, ref: str, view: SchemaObject) -> Provable:
    """The rows of a view as of ``ref``, whose state is ``side``."""
    reader = _Reader(call, side, ref, working=False)
    return reader.provable(lambda: reader.view_rows(view, ()))


def view_over(call: Call, side: Side, view: SchemaObject, rows: RowsOf) -> Sql:
    """The text of a view of a state, with ``rows`` for those of tables. It is not proved to only read."""
    return _Reader(call, side, "its commit", working=False, rows=rows).view_rows(view, ())


class _Reader:
    def __init__(
        self,
        call: Call,
        side: Side,
        ref: str,
        working: bool,
        caller: Caller | None = None,
        what: str = "epoch_query",
        rows: RowsOf | None = None,
    ) -> None:
        self.rows = rows or partial(table_rows, call)
        self.what = what
        self.texts = Texts(call.cursor, call.memory.own_macros)
        self.call = call
        self.caller = caller
        self.ref = ref
        self.side = side
        self.working = working
        self.tables = {_folded(s.table.name): s for s in self.side.tables.values()}
        self.views = {_folded(o.name): o for o in self.side.objects if o.kind == "view"}
        self._live: set[tuple[str, str]] | None = None
        self._queries: dict[str, Query] = {}
        self._listed: dict[str, str] = {}
        self._bare = rows is not None

    def provable(self, rows: Callable[[], Sql]) -> Provable:
        """A query in two forms: with the rows of the tables, and without."""
        sql = rows()
        self._bare = True
        bare = rows()
        self._bare = False
        return Provable(sql, bare)

    def rewritten(self, sql: str, schemas: Sequence[str], within: tuple[ObjectName, ...]) -> Sql:
        """The query with its tables as of the reference. ``within`` are the views around it."""
        if not self._bare:
            # DuckDB evaluates the arguments of table functions when it binds them, and the proof by the plan binds
            # them.
            require_idle(self.texts.functions(sql), self.what)
        sql = self._with_values(sql, schemas)
        parsed = self._parsed(sql)
        self._require_visible(parsed)
        commons: dict[str, Sql] = {}
        names: dict[Mention, str] = {}
        for mention in parsed.mentions:
            rows = self._meaning(mention, schemas, within)
            if rows is not None:
                name = _free_name(mention, parsed)
                commons[name.lower()] = _common_table(name, rows)
                if mention.qualifiers:
                    names[mention] = name
        try:
            text = renamed(sql, parsed, names)
        except Unlocated as unlocated:
            raise EpochQueryError(
                f"table {unlocated.name} cannot be read as of {self.ref} in this form", "name it in FROM"
            ) from unlocated
        query = render.fill(Sql("FROM (\n{{text}}\n) AS result"), text=render.verbatim(text))
        if not commons:
            return query
        listed = render.joined(list(commons.values()), ",\n")
        return render.fill(Sql("WITH {{commons}}\n{{query}}"), commons=listed, query=query)

    def _with_values(self, sql: str, schemas: Sequence[str]) -> str:
        """The query with the values of each PIVOT without IN, as of the reference."""
        if sql not in self._listed:
            self._require_visible(self._parsed(sql))
            self._listed[sql] = with_values(sql, lambda values: self._values(values, schemas))
        return self._listed[sql]

    def _values(self, query: Sql, schemas: Sequence[str]) -> list[str]:
        """The values of an expression of PIVOT. They are read here, where nothing of the caller alone is visible."""
        if self.working:
            raise EpochQueryError(
                f"PIVOT without IN reads what is committed, and {self.ref} may be in an open transaction",
                f"run the query without epoch_query, or {NAME_VALUES}",
            )
        for mention in self._parsed(query).mentions:
            if self._meaning(mention, schemas, ()) is None and not mention.is_file:
                raise EpochQueryError(
                    f"{'.'.join(mention.parts)} is not versioned, so that PIVOT takes no values from it", NAME_VALUES
                )
        rows = self.provable(lambda: self.rewritten(query, schemas, ()))
        require_reading(self.call, rows.bare, self.what)
        return [value for (value,) in self.call.cursor.execute(rows.sql).fetchall()]

    def _parsed(self, sql: str) -> Query:
        if sql not in self._queries:
            self._queries[sql] = parsed_query(self.call.cursor, sql)
        return self._queries[sql]

    def _meaning(self, mention: Mention, schemas: Sequence[str], within: tuple[ObjectName, ...]) -> Sql | None:
        """The rows of a name. None for an unversioned relation, which stays as it is."""
        if self._is_temporary(mention, within):
            return None
        database = self.caller.database if self.caller and not within else self.call.catalog
        names = self._candidates(mention, schemas, database)
        for name in names:
            side, view = self.tables.get(_folded(name)), self.views.get(_folded(name))
            if side:
                return self.rows(side, self._bare)
            if view:
                return self.view_rows(view, within)
        if mention.is_file:
            return None
        require_idle(set(self.texts.acting([lowered(mention.parts)], database, schemas).values()), self.what)
        if self.caller and not within:
            self._require_there(mention, names)
        elif names and (any(_folded(name) in self._live_names() for name in names) or not self._is_unversioned(names)):
            raise self._unknown(names[-1])
        return None

    def _is_temporary(self, mention: Mention, within: tuple[ObjectName, ...]) -> bool:
        """Whether a relation of the caller's connection has the name and hides the versioned one."""
        if not self.caller or within or len(mention.parts) > 1 or not self.caller.has_temporary(mention.table):
            return False
        self._require_no_versioned(mention, temporary(mention.table))
        return True

    def _require_there(self, mention: Mention, names: Sequence[ObjectName]) -> None:
        """Raises EpochTableError for a name that means nothing to the caller, and for a versioned relation that does
        not exist as of the reference."""
        assert self.caller
        live = any(_folded(name) in self._live_names() for name in names)
        if live or not self.caller.knows(mention.parts):
            raise self._unknown(
                names[0] if names else ObjectName(path_text(mention.qualifiers) or "main", mention.table)
            )
        self._require_no_versioned(mention, named(mention.parts))

    def _require_no_versioned(self, mention: Mention, probe: Sql) -> None:
        """Raises EpochQueryError for an unversioned relation over versioned ones, such as a temporary view, because
        it would read them as they are now."""
        assert self.caller
        if self.working:
            return
        for database, table in self.caller.reads(probe):
            if database.lower() == self.call.catalog.lower() and _folded(table) in self._live_names():
                raise EpochQueryError(
                    f"{'.'.join(mention.parts)} reads {table}, which it would read as it is now, not as of {self.ref}",
                    "write its query in the place of its name",
                )

    def _candidates(self, mention: Mention, schemas: Sequence[str], database: str) -> list[ObjectName]:
        """The tables that a mention can mean, first choice first. Empty for tables of another database or of the
        system.

        ``database`` is the database of names without one.
        """
        current = self.call.catalog.lower()
        first = mention.qualifiers[0].lower() if mention.qualifiers else ""
        if database.lower() != current and first != current:
            return []
        if not mention.qualifiers:
            return [ObjectName(name, mention.table) for name in schemas]
        schema, rest = (path_text(path) for path in (mention.qualifiers, mention.qualifiers[1:]))
        if schema.lower() in self._schemas():
            return [ObjectName(schema, mention.table)]
        if first == current:
            return [] if rest.lower() in _ELSEWHERE else [ObjectName(rest or "main", mention.table)]
        if first in _ELSEWHERE or self._is_database(first):
            return []
        return [ObjectName(schema, mention.table)]

    def _schemas(self) -> set[str]:
        """The schemas as of the reference."""
        made = {o.name.as_schema.lower() for o in self.side.objects if o.kind == "schema"}
        return {"main", *made, *(schema for schema, _ in self.tables)}

    def view_rows(self, view: SchemaObject, within: tuple[ObjectName, ...]) -> Sql:
        """The rows of a view as of the reference."""
        require_trusted(self.call, view)
        if view.name in within:
            raise EpochQueryError(f"view {view.name} refers to itself in {self.ref}", "query the tables instead")
        start = next(token for token in top_level(view.definition) if token.is_word("AS"))
        head = view.definition[: start.start]
        names = next((head[token.start :] for token in tokens(head) if token.text == "("), "")
        schemas = tuple(dict.fromkeys((view.name.schema, "main")))
        text = self.rewritten(view.definition[start.end :], schemas, (*within, view.name))
        return render.fill(
            Sql("FROM (\n{{text}}\n) AS {{view}} {{names}}"),
            text=text,
            view=render.identifier(view.name.name),
            names=render.verbatim(names),
        )

    def _live_names(self) -> set[tuple[str, str]]:
        """The tables and views that are, or would be, versioned in the working database."""
        if self._live is None:
            schema = self.call.scanner.schema()
            views = (o.name for o in schema.objects if o.kind == "view")
            self._live = {_folded(name) for name in (*(t.name for t in schema.tables), *views)}
        return self._live

    def _is_unversioned(self, names: Iterable[ObjectName]) -> bool:
        """Whether the working database has an unversioned relation of such a name: an ignored one or DuckDB's own."""
        row = self.call.cursor.execute(
            render.render("query.relations_named"),
            [[n.name.lower() for n in names], [n.schema_path[-1].lower() for n in names]],
        ).fetchone()
        return bool(row and row[0])

    def _is_database(self, name: str) -> bool:
        row = self.call.cursor.execute(
            "SELECT 1 FROM duckdb_databases() WHERE lower(database_name) = ?", [name]
        ).fetchone()
        return row is not None

    def _unknown(self, name: ObjectName) -> EpochTableError:
        known = [str(s.table.name) for s in self.tables.values()] + [str(o.name) for o in self.views.values()]
        near = suggest(str(name), known)
        advice = did_you_mean(near) or Suggestion("tables", self.ref)
        message = f"there is no table {name} in {self.ref}"
        return TableNotFound(message, advice, table=str(name), suggestions=tuple(near))

    def _require_visible(self, parsed: Query) -> None:
        """Raises EpochQueryError for functions that read tables invisibly, because they would read the working
        tables, and for Epoch's own functions that act."""
        for function in sorted(parsed.functions & self.call.memory.acting):
            raise EpochQueryError(f"{function} acts, and a query only reads", "call it by itself")
        if self.working or self._bare:
            return
        if parsed.shows:
            raise EpochQueryError(f"SHOW cannot be read as of {self.ref}", Suggestion("tables", self.ref))
        for function in parsed.functions:
            if function in _READS_BY_NAME:
                raise EpochQueryError(f"{function}() cannot be read as of {self.ref}", "name the table in FROM")
            if function in self.texts.macros and self._reads_tables(function, frozenset()):
                raise EpochQueryError(
                    f"macro {function} reads tables, which it would read as they are now, not as of {self.ref}",
                    "write its query in the place of the macro",
                )

    def _reads_tables(self, macro: str, visited: frozenset[str]) -> bool:
        """Whether a macro names tables, directly or in other macros."""
        tree = syntax_tree(self.call.cursor, self.texts.macros[macro])
        if tree.get("error"):
            return True
        for statement in tree["statements"]:
            parsed = read_query(statement)
            used = [f for f in parsed.functions if f in self.texts.macros and f not in visited | {macro}]
            if parsed.mentions or _READS_BY_NAME & parsed.functions:
                return True
            if any(self._reads_tables(f, visited | {macro}) for f in used):
                return True
        return False


def _common_table(name: str, rows: Sql) -> Sql:
    return render.fill(Sql("{{name}} AS NOT MATERIALIZED ({{rows}})"), name=render.identifier(name), rows=rows)


def _free_name(mention: Mention, parsed: Query) -> str:
    """The name of a mention's WITH query: its own name, or, for a name with a schema, one that the query does not
    use."""
    if not mention.qualifiers:
        return mention.table
    name = ".".join(mention.parts)
    while name.lower() in parsed.common or any(name.lower() == m.table.lower() for m in parsed.mentions):
        name += "_"
    return name


def _folded(name: ObjectName) -> tuple[str, str]:
    return name.schema.lower(), name.name.lower()
