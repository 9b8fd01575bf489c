"""Epoch's SQL for Spark: the templates that DuckDB runs, parsed by sqlglot, with what differs exchanged.

This is the only place where the two meet. Spark lacks scans in FROM, MATERIALIZED, equal names of CTEs within each
other, ``arg_max`` that keeps NULL, and equality of maps. Constants, which Epoch fills into rows from before a column
existed, are computed by DuckDB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import duckdb
from sqlglot import exp, parse_one

from epoch_sql import render
from epoch_sql.errors import UnsupportedType
from epoch_sql.proof.engine import shut_in
from epoch_sql.render import Sql
from epoch_sql.spark.types import read_as
from epoch_sql.storage.types import DataType, Field, parse_type

_NEWEST = {"ARG_MAX_NULL": "MAX_BY", "ARG_MIN_NULL": "MIN_BY"}
_PICKS = (exp.ArgMax, exp.ArgMin)
_WRITTEN = ("VARCHAR", "JSON", "TIMESTAMP", "DATE", "TIME")
_PREFIXES = ("c", "n", "o", "k", "m")


@dataclass
class Translated:
    """A query for Spark: its text with ``{scan_0}`` and so on, and the files of each of them."""

    text: str
    scans: dict[str, tuple[str, ...]] = field(default_factory=dict)


def to_spark(sql: Sql, types: Mapping[int, DataType], times: bool) -> Translated:
    """A query of Epoch's in Spark's SQL. ``types`` are those of columns by their ids, ``times`` as in ``read_as``."""
    found: dict[tuple[str, ...], str] = {}
    # No column is called so.
    prefix = f"epoch_scan_{uuid4().hex}_"
    tree = parse_one(sql, read="duckdb")
    with shut_in() as engine:
        tree = _folded(tree, _Constants(engine, times))
    for change in (_materialized, _picked, _plain, _compared(types)):
        tree = tree.transform(change)
    tree = tree.transform(_scanned(found, prefix))
    _name_apart(tree)
    text = retyped(tree, times).sql(dialect="spark").replace("{", "{{").replace("}", "}}")
    scans = {}
    for paths, name in found.items():
        text = text.replace(f"`{name}`", f"{{{name}}}")
        scans[name] = paths
    return Translated(text, scans)


def _scanned(found: dict[tuple[str, ...], str], prefix: str) -> Callable[[exp.Expr], exp.Expr]:
    """Exchanges scans of files for names."""

    def change(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.ReadParquet):
            return node
        paths = tuple(path.name for path in node.this.expressions[0].expressions)
        name = found.setdefault(paths, f"{prefix}{len(found)}")
        return exp.Table(this=exp.to_identifier(name, quoted=True), alias=node.args.get("alias"))

    return change


def _materialized(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.CTE):
        node.set("materialized", None)
    return node


def _picked(node: exp.Expr) -> exp.Expr:
    """The value of the first or the last step. In Spark these keep NULL, and the sign of -0.0."""
    if isinstance(node, exp.Anonymous) and node.name.upper() in _NEWEST:
        return exp.Anonymous(this=_NEWEST[node.name.upper()], expressions=node.expressions)
    if isinstance(node, _PICKS):
        name = "MAX_BY" if isinstance(node, exp.ArgMax) else "MIN_BY"
        return exp.Anonymous(this=name, expressions=[node.this, node.expression])
    if isinstance(node, exp.Bracket) and isinstance(node.this, exp.ArrayAgg) and isinstance(node.this.this, exp.Order):
        ordered = node.this.this
        name = "MIN_BY" if node.expressions[0].sql() in ("0", "1") else "MAX_BY"
        return exp.Anonymous(this=name, expressions=[ordered.this, ordered.expressions[0].this])
    return node


def _plain(node: exp.Expr) -> exp.Expr:
    """Strings compare by their bytes, and the label of an ENUM is stored as a string."""
    if isinstance(node, exp.Collate):
        found: exp.Expr = node.this
        return found
    if isinstance(node, exp.Cast) and node.to.is_type(exp.DType.ENUM):
        return exp.cast(node.this, "VARCHAR")
    return node


def _compared(types: Mapping[int, DataType]) -> Callable[[exp.Expr], exp.Expr]:
    """Spark does not compare maps. Their entries are compared, in their order, as in DuckDB."""
    maps = {i: type for i, type in types.items() if any(part.name == "MAP" for part in type.parts())}

    def comparable(value: exp.Expr) -> exp.Expr:
        column = value.name[:1], value.name[1:].removeprefix("-")
        known = maps.get(int(column[1])) if column[0] in _PREFIXES and column[1].isdecimal() else None
        return _entries(value, known, 0) if known and isinstance(value, exp.Column) else value

    def change(node: exp.Expr) -> exp.Expr:
        if maps and isinstance(node, (exp.NullSafeEQ, exp.NullSafeNEQ, exp.EQ)):
            for side in ("this", "expression"):
                node.set(side, comparable(node.args[side]))
        if maps and isinstance(node, exp.Window):
            node.set("partition_by", [comparable(value) for value in node.args.get("partition_by") or ()])
        return node

    return change


def _entries(value: exp.Expr, type: DataType, depth: int) -> exp.Expr:
    """A value whose maps are lists of their entries."""
    if not any(part.name == "MAP" for part in type.parts()):
        return value
    if type.name == "STRUCT":
        parts = [
            exp.alias_(_entries(exp.Dot(this=value.copy(), expression=_name(f.name)), f.type, depth + 1), f.name, True)
            for f in type.fields
        ]
        return exp.Case().when(value.copy().is_(exp.null()).not_(), exp.func("STRUCT", *parts))
    if type.name == "MAP":
        value, type = exp.Anonymous(this="MAP_ENTRIES", expressions=[value]), _entry(type)
    parameter = f"part{depth}"
    item = _entries(exp.column(parameter), type.fields[0].type, depth + 1)
    body = exp.Lambda(this=item, expressions=[exp.to_identifier(parameter)])
    return value if item == exp.column(parameter) else exp.Anonymous(this="TRANSFORM", expressions=[value, body])


def _entry(type: DataType) -> DataType:
    return DataType("", "LIST", (), (Field("item", DataType("", "STRUCT", (), type.fields)),))


def _name(name: str) -> exp.Identifier:
    return exp.to_identifier(name, quoted=True)


def _name_apart(tree: exp.Expr) -> None:
    """Give each CTE a name of its own, because sqlglot lifts them to the top."""
    for number, clause in enumerate(sorted(tree.find_all(exp.With), key=lambda found: -found.depth)):
        owner = clause.parent
        assert owner
        for cte in clause.expressions:
            old, new = cte.alias, f"{cte.alias}_{number}"
            for table in owner.find_all(exp.Table):
                if table.name == old and not table.args.get("db"):
                    table.set("this", exp.to_identifier(new))
                    if not table.alias:
                        table.set("alias", exp.TableAlias(this=exp.to_identifier(old)))
            cte.set("alias", exp.TableAlias(this=exp.to_identifier(new)))


def retyped(tree: exp.Expr, times: bool) -> exp.Expr:
    """A tree whose casts name types of Spark's."""
    for cast in tree.find_all(exp.Cast):
        text = read_as(parse_type(cast.to.sql("duckdb")), times)
        cast.set("to", exp.DataType.build(text, dialect="spark"))
    return tree


@dataclass
class _Constants:
    """Computes constants in DuckDB, which reaches nothing, and writes them as Spark does."""

    engine: duckdb.DuckDBPyConnection
    times: bool

    def written(self, constant: exp.Expr) -> exp.Expr:
        """The constant in Spark's SQL, which is given back as a tree for Spark."""
        text = render.verbatim(constant.sql("duckdb"))
        ask = render.fill("SELECT typeof(v), v FROM (SELECT {{c}} AS v)", c=text)
        (row,) = self.engine.execute(ask).fetchall()
        return self.value(parse_type(row[0]), row[1])

    def value(self, type: DataType, value: Any) -> exp.Expr:
        """A value of a storage type."""
        if value is None or not type.fields:
            made = exp.null() if value is None else self.scalar(type, value)
        elif type.name in ("LIST", "ARRAY"):
            made = exp.Anonymous(this="ARRAY", expressions=[self.value(type.fields[0].type, item) for item in value])
        elif type.name == "STRUCT":
            named = ((exp.Literal.string(f.name), self.value(f.type, value[f.name])) for f in type.fields)
            made = exp.Anonymous(this="NAMED_STRUCT", expressions=[part for pair in named for part in pair])
        else:
            raise UnsupportedType.of(type.text, type.text)
        return exp.Cast(this=made, to=exp.DataType.build(type.text, dialect="duckdb"))

    def scalar(self, type: DataType, value: Any) -> exp.Expr:
        """A value without parts, to be cast to its type."""
        match value:
            case bytes():
                return exp.HexString(this=value.hex())
            case UUID():
                return exp.HexString(this=value.hex)
            case bool() | int() | float() | Decimal():
                return exp.Literal.string(str(value))
            case time() if not self.times:
                return exp.Literal.number(
                    (datetime.combine(date.min, value) - datetime.min) // timedelta(microseconds=1)
                )
            case str() | datetime() | date() | time() if type.name in _WRITTEN:
                return exp.Literal.string(str(value))
        raise UnsupportedType.of(type.text, type.text)


def _folded(tree: exp.Expr, constants: _Constants) -> exp.Expr:
    """Exchanges casts of constants for the values that DuckDB computes."""
    for cast in [*_constant_casts(tree)]:
        made = constants.written(cast)
        if cast is tree:
            return made
        cast.replace(made)
    return tree


def _constant_casts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The greatest expressions with a cast that depend on nothing, but for typed NULLs."""
    typed_null = isinstance(node, exp.Cast) and isinstance(node.this, exp.Null)
    if isinstance(node, exp.Condition) and node.find(exp.Cast) and not typed_null and not _depends(node):
        yield node
        return
    for child in node.iter_expressions():
        yield from _constant_casts(child)


def _depends(node: exp.Expr) -> bool:
    return any(node.find_all(exp.Column, exp.Star, exp.Query, exp.AggFunc, exp.Lambda, exp.Table))
