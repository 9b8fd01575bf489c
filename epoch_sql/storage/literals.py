"""Values as SQL text: an expression that gives, for a value, the literal that evaluates to exactly that value.

For most types, text that is cast back is exact. Otherwise the literal is built from parts: the offset of TIME WITH TIME
ZONE on 1.4 and 1.5, the parts of an INTERVAL, TIMESTAMP WITH TIME ZONE in another time zone, a NUL in a string.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from epoch_sql.errors import UnsupportedType
from epoch_sql.render import Sql, fill, identifier, joined, literal, verbatim
from epoch_sql.storage.types import DataType, Field, parse_type

_DIGITS_WITHOUT_CAST = 18

_INTEGERS = frozenset(
    {"BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"}
)
_CAST_FROM_TEXT = frozenset(
    {
        *("FLOAT", "DOUBLE", "HUGEINT", "UHUGEINT", "DECIMAL", "BIGNUM", "BIT", "BLOB", "UUID", "JSON"),
        *("DATE", "TIME", "TIME_NS", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    }
)
_STRINGS = frozenset({"VARCHAR", "ENUM"})

_QUOTED = """CASE
    WHEN contains({{text}}, chr(0))
    THEN '(''' || replace(replace({{text}}, '''', ''''''), chr(0), ''' || chr(0) || ''') || ''')'
    ELSE '''' || replace({{text}}, '''', '''''') || ''''
END"""
_INTERVAL = """format('(to_months({}) + to_days({}) + to_microseconds({}))',
    year({{v}}) * 12 + month({{v}}), day({{v}}),
    hour({{v}}) * 3600000000 + minute({{v}}) * 60000000 + microsecond({{v}}))"""
_TIME_WITH_TIME_ZONE = """format('''{}{}{:02d}:{:02d}:{:02d}''::TIME WITH TIME ZONE', CAST({{v}} AS TIME),
    CASE WHEN date_part('timezone', {{v}}) < 0 THEN '-' ELSE '+' END,
    abs(CAST(date_part('timezone', {{v}}) AS INTEGER)) // 3600,
    abs(CAST(date_part('timezone', {{v}}) AS INTEGER)) // 60 % 60,
    abs(CAST(date_part('timezone', {{v}}) AS INTEGER)) % 60)"""
_TIMESTAMP_WITH_TIME_ZONE = """CASE
    WHEN CAST({{v}} AS VARCHAR) NOT LIKE '%infinity' THEN format('''{}+00''::{{type}}', {{utc}})
    ELSE format('''{}''::{{type}}', {{v}})
END"""
_UTC = {
    "TIMESTAMP WITH TIME ZONE": "CAST(make_timestamp(epoch_us({{v}})) AS VARCHAR)",
    "TIMESTAMPTZ_NS": "CAST(make_timestamp_ns(epoch_ns({{v}})) AS VARCHAR)",
}


def literal_of(value: Sql, type: str) -> Sql:
    """The SQL expression, of type VARCHAR, that gives the literal of a native value of a type. Raises UnsupportedType
    if there is none.

    The literal has this type, or one that an assignment converts to it without loss.
    """
    return _literal(value, parse_type(type))


@cache
def has_interval(type: str) -> bool:
    """Whether values of the type hold an INTERVAL. Different INTERVALs compare as equal: a month and 30 days."""
    return any(leaf.name == "INTERVAL" for leaf in parse_type(type).leaves())


def quoted(text: Sql) -> Sql:
    """The SQL expression that gives the string literal of a text."""
    return fill(_QUOTED, text=text)


def _literal(value: Sql, type: DataType) -> Sql:
    return fill("CASE WHEN ({{v}}) IS NULL THEN 'NULL' ELSE {{text}} END", v=value, text=_present(value, type))


def _present(value: Sql, type: DataType) -> Sql:
    """The literal of a value that is not NULL."""
    if type.fields:
        return _COMPOSED[type.name](value, type)
    if type.name in _INTEGERS or (type.name == "DECIMAL" and int(type.arguments[0]) <= _DIGITS_WITHOUT_CAST):
        return fill("CAST({{v}} AS VARCHAR)", v=value)
    if type.name in _CAST_FROM_TEXT:
        return _cast(quoted(fill("CAST({{v}} AS VARCHAR)", v=value)), type)
    if type.name in _STRINGS:
        return quoted(fill("CAST({{v}} AS VARCHAR)", v=value))
    if type.name in _UTC:
        return fill(_TIMESTAMP_WITH_TIME_ZONE, v=value, type=verbatim(type.text), utc=fill(_UTC[type.name], v=value))
    if type.name in _PARTS:
        return _PARTS[type.name](value, type)
    raise UnsupportedType.of(type.text, type.text)


def _cast(text: Sql, type: DataType) -> Sql:
    """The expression for ``<text>::<type>``."""
    return fill("({{text}}) || {{suffix}}", text=text, suffix=literal(f"::{type.text}"))


def _geometry(value: Sql, type: DataType) -> Sql:
    call = fill("format('ST_GeomFromWKB(''{}''::BLOB)', CAST(CAST(ST_AsWKB({{v}}) AS BLOB) AS VARCHAR))", v=value)
    if not type.arguments:
        return call
    system = literal(f", {literal(type.arguments[0])})")
    return fill("'ST_SetCRS(' || {{call}} || {{system}}", call=call, system=system)


def _list(value: Sql, type: DataType) -> Sql:
    item = type.fields[0].type
    parameter = fill("{{name}}", name=identifier(f"item{type.height}"))
    items = fill(
        "list_transform(CAST({{v}} AS {{item}}[]), lambda {{parameter}}: {{literal}})",
        v=value,
        item=verbatim(item.text),
        parameter=parameter,
        literal=_literal(parameter, item),
    )
    return _cast(fill("'[' || coalesce(array_to_string({{items}}, ', '), '') || ']'", items=items), type)


def _map(value: Sql, type: DataType) -> Sql:
    lists = []
    for function, field in zip(("map_keys", "map_values"), type.fields, strict=True):
        part = fill("{{f}}({{v}})", f=Sql(function), v=value)
        lists.append(_list(part, DataType(f"{field.type.text}[]", "LIST", (), (Field("item", field.type),))))
    return _cast(fill("'map(' || {{keys}} || ', ' || {{contents}} || ')'", keys=lists[0], contents=lists[1]), type)


def _struct(value: Sql, type: DataType) -> Sql:
    parts = [
        fill(
            "{{name}} || {{literal}}",
            name=literal(f"{literal(field.name)}: "),
            literal=_literal(fill("struct_extract({{v}}, {{n}})", v=value, n=literal(field.name)), field.type),
        )
        for field in type.fields
    ]
    return _cast(fill("'{' || concat_ws(', ', {{parts}}) || '}'", parts=parts), type)


def _tuple(value: Sql, type: DataType) -> Sql:
    parts = [
        _literal(fill("struct_extract_at({{v}}, {{n}})", v=value, n=literal(position)), field.type)
        for position, field in enumerate(type.fields, 1)
    ]
    return _cast(fill("'row(' || concat_ws(', ', {{parts}}) || ')'", parts=parts), type)


def _union(value: Sql, type: DataType) -> Sql:
    branches = [
        fill(
            "WHEN {{tag}} THEN {{start}} || {{literal}} || {{end}}",
            tag=literal(field.name),
            start=literal(f"union_value({identifier(field.name)} := CAST("),
            literal=_literal(fill("union_extract({{v}}, {{n}})", v=value, n=literal(field.name)), field.type),
            end=literal(f" AS {field.type.text}))"),
        )
        for field in type.fields
    ]
    tagged = fill("CASE CAST(union_tag({{v}}) AS VARCHAR) {{branches}} END", v=value, branches=joined(branches, " "))
    return _cast(tagged, type)


_COMPOSED: dict[str, Callable[[Sql, DataType], Sql]] = {
    "LIST": _list,
    "ARRAY": _list,
    "MAP": _map,
    "STRUCT": _struct,
    "TUPLE": _tuple,
    "UNION": _union,
}

_PARTS: dict[str, Callable[[Sql, DataType], Sql]] = {
    "INTERVAL": lambda value, type: fill(_INTERVAL, v=value),
    "TIME WITH TIME ZONE": lambda value, type: fill(_TIME_WITH_TIME_ZONE, v=value),
    "GEOMETRY": _geometry,
    "STRUCT": lambda value, type: Sql("'struct_pack()'"),
}
