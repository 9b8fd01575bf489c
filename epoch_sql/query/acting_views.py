"""Which stored views would act when a name is bound: DuckDB runs what table functions are called with as it binds them.

So their texts are looked at first, as the catalog has them, and those of the views and macros that they name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import duckdb

from epoch_sql import render
from epoch_sql.model.sql_text import top_level
from epoch_sql.proof.reads import acting_among
from epoch_sql.query.pivots import with_some_values
from epoch_sql.query.table_references import Query, macro_texts, read_query, syntax_tree

Parts = tuple[str, ...]
"""The parts of a name, in lower case."""
View = tuple[str, str, str, str]
"""Name, schema, database, in lower case, and definition."""
_RUN_TEXT = frozenset({"json_execute_serialized_sql", "query", "query_table"})
_WORD = re.compile(r"\w+")


class Texts:
    """The texts of stored views and macros, and what they call; ``own`` are Epoch's macros."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, own: Collection[str]) -> None:
        self.cursor = cursor
        self.own = own
        self._macros: dict[str, str] | None = None

    @property
    def macros(self) -> Mapping[str, str]:
        """The texts of macros by name (see ``macro_texts``)."""
        if self._macros is None:
            self._macros = macro_texts(self.cursor, self.own)
        return self._macros

    def functions(self, text: str) -> set[str]:
        """The functions that a query names, directly or in its macros."""
        return {function for query in self._queries(text) for function in query.functions}

    def acting(self, names: Iterable[Parts], database: str, schemas: Sequence[str]) -> dict[Parts, str]:
        """Those of the names that may be a stored view which acts, each with the function of DuckDB's that does.

        Names without a schema are looked for in ``schemas`` of a database.
        """
        wanted = dict.fromkeys(names)
        if not wanted:
            return {}
        views = self._views(wanted)
        found = {name: self._acting_in(name, database.lower(), schemas, views) for name in wanted}
        return {name: function for name, function in found.items() if function}

    def _acting_in(self, name: Parts, database: str, schemas: Sequence[str], views: Sequence[View]) -> str | None:
        pending, visited = [(views, name, database, tuple(schemas))], set[str]()
        while pending:
            for schema, database, sql in _meant(*pending.pop()):
                if sql in visited:
                    continue
                visited.add(sql)
                start = next((token.end for token in top_level(sql) if token.is_word("AS")), 0)
                queries = self._queries(sql[start:].rstrip().removesuffix(";"))
                acting = acting_among({function for query in queries for function in query.functions})
                if acting:
                    return min(acting)
                mentions = {lowered(m.parts) for query in queries for m in query.mentions}
                more = self._views(mentions)
                pending += [(more, mention, database, (schema, "main")) for mention in mentions if more]
        return None

    def _views(self, names: Iterable[Parts]) -> list[View]:
        return self.cursor.execute(render.load("query.views_named"), [sorted({name[-1] for name in names})]).fetchall()

    def _queries(self, text: str) -> list[Query]:
        """What a query names, and the macros that it uses; where a text may be hidden in it, every word counts."""
        found, pending, visited = [], [text], {text}
        while pending:
            text = pending.pop()
            tree = syntax_tree(self.cursor, with_some_values(text))
            queries = [read_query(statement) for statement in tree.get("statements", ())]
            functions = {function for query in queries for function in query.functions}
            if tree.get("error") or functions & _RUN_TEXT:
                queries.append(Query(functions=set(_WORD.findall(text.lower()))))
            found += queries
            more = {self.macros[name] for name in functions if name in self.macros} - visited
            pending += more
            visited |= more
        return found


def _meant(views: Iterable[View], name: Parts, database: str, schemas: Sequence[str]) -> list[tuple[str, str, str]]:
    """Schema, database and definition of the views that a name may mean."""
    searched = [(database, schema.lower()) for schema in schemas]
    return [
        (schema, where, sql)
        for view, schema, where, sql in views
        if view == name[-1] and ((where, schema) in searched if len(name) == 1 else name[-2] in (schema, where))
    ]


def lowered(parts: Iterable[str]) -> Parts:
    """The parts of a name in lower case."""
    return tuple(part.lower() for part in parts)
