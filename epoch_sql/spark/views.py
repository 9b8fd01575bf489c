"""Views of users in Spark, as far as they mean the same there. A view is somebody else's SQL, so only what is known is
carried over: no function but a few, no file, no relation besides those of its commit."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from epoch_sql.errors import UnsupportedType
from epoch_sql.model.names import shown
from epoch_sql.model.schema import ObjectName, SchemaObject
from epoch_sql.spark.dialect import retyped

_KNOWN: frozenset[type[exp.Expr]] = frozenset(
    {
        *(exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit),
        *(exp.Offset, exp.Subquery, exp.With, exp.CTE, exp.Table, exp.TableAlias, exp.Column, exp.Identifier),
        *(exp.Alias, exp.Star, exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Distinct, exp.Tuple),
        *(exp.Union, exp.Except, exp.Intersect, exp.Exists, exp.Count, exp.Min, exp.Max, exp.Sum, exp.Coalesce),
        *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between),
        *(exp.NullSafeEQ, exp.NullSafeNEQ, exp.Case, exp.If, exp.Add, exp.Sub, exp.Mul, exp.Neg, exp.DataType),
        *(exp.DataTypeParam, exp.Cast),
    }
)
"""What means the same in both. A cast is one only of a constant, as in DATE '2026-01-01'."""


class NotCarried(Exception):
    """A view that Spark does not get; the text says why."""


def view_names(names: list[ObjectName]) -> dict[ObjectName, str]:
    """The names of temporary views, which have no schema: ``orders``, ``sales_orders`` for ``sales.orders``."""
    return {name: name.name if name.schema == "main" else f"{'_'.join(name.schema_path)}_{name.name}" for name in names}


def carried(view: SchemaObject, names: Mapping[ObjectName, str], left_out: Mapping[ObjectName, str]) -> str:
    """The query of a view in Spark's SQL, over temporary views of these names. Raises NotCarried."""
    try:
        created = parse_one(view.definition, read="duckdb")
    except SqlglotError as error:
        raise NotCarried("its SQL is not known") from error
    query = created.expression if isinstance(created, exp.Create) else None
    if not isinstance(query, exp.Query):
        raise NotCarried("it is not a query")
    ctes = {cte.alias.lower() for cte in query.find_all(exp.CTE)}
    for node in [*query.walk()]:
        _require_known(node)
        if isinstance(node, exp.Table):
            _renamed(node, ctes, names, left_out)
    if isinstance(created.this, exp.Schema):
        alias = exp.TableAlias(this=exp.to_identifier("named"), columns=[c.copy() for c in created.this.expressions])
        query = exp.select("*").from_(exp.Subquery(this=query, alias=alias))
    try:
        return retyped(query, times=False).sql(dialect="spark")
    except UnsupportedType as error:
        raise NotCarried(error.message) from error


def _require_known(node: exp.Expr) -> None:
    constant = not isinstance(node, exp.Cast) or isinstance(node.this, exp.Literal | exp.Null)
    if type(node) not in _KNOWN or not constant:
        raise NotCarried(f"it has {shown(node.sql(dialect='duckdb'), 60)}, which may mean something else in Spark")


def _renamed(
    table: exp.Table, ctes: set[str], names: Mapping[ObjectName, str], left_out: Mapping[ObjectName, str]
) -> None:
    """Have a table of a query name its temporary view."""
    if not isinstance(table.this, exp.Identifier) or table.args.get("catalog"):
        raise NotCarried(f"it reads {shown(table.sql(dialect='duckdb'), 60)}")
    if not table.db and table.name.lower() in ctes:
        return
    name = ObjectName(table.db or "main", table.name)
    meant = next((known for known in (*names, *left_out) if known.folded == name.folded), None)
    if meant is None or meant in left_out:
        raise NotCarried(f"it reads {shown(str(name), 60)}, which {'is left out' if meant else 'is not there'}")
    if not table.alias:
        table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
    table.set("db", None)
    table.set("this", exp.to_identifier(names[meant], quoted=True))
