"""What the default of a column means for existing rows."""

from __future__ import annotations

import re

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from epoch_sql.model.schema import Column

_CONSTANT = (exp.Literal, exp.Cast, exp.Neg, exp.Boolean, exp.Null, exp.Paren, exp.DataType, exp.DataTypeParam)
_FLEETING = re.compile(r"TIME ZONE|TZ")
_FLEETING_CASTS = (exp.DataType.Type.USERDEFINED, exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.TIMETZ)


def is_constant(column: Column) -> bool:
    """Whether a column's default is a constant, which ADD COLUMN puts into existing rows.

    Texts of user-defined types, and of types that depend on the session's time zone, do not count as constants.
    """
    if column.default is None or _FLEETING.search(column.type):
        return False
    try:
        nodes = list(parse_one(column.default, dialect="duckdb").walk())
        return all(isinstance(n, _CONSTANT) and n.this not in _FLEETING_CASTS for n in nodes)
    except SqlglotError:
        return False
