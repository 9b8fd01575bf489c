"""Converts values to another type of their column, at any depth, and says whether the conversion loses nothing and
converts back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import duckdb

from epoch_sql.model.schema import Column, widens
from epoch_sql.render import Sql, fill, identifier, joined, literal, verbatim
from epoch_sql.storage.encoding import decode, encode, storage_type
from epoch_sql.storage.types import DataType, Field, parse_type

# Fields of structs and members of unions are matched by identity: their name, or their name before a rename (see
# ``renamed``).

_NAMED = ("STRUCT", "UNION")


def comes_back(value: Sql, source: DataType, wanted: DataType, before: Sql | None = None) -> Sql:
    """The condition that a storage value survives the conversion to another type and back.

    ``before`` is an earlier value of the source type. If a field that the wanted type lacks is equal in both, the drop
    of the field lost its value, and not the conversion.
    """
    there = convert(value, source, wanted)
    back = convert(there, wanted, source)
    if before is not None:
        back = _refilled(back, source, wanted, before)
    return fill(
        "({{v}} IS NOT DISTINCT FROM {{back}} AND ({{v}} IS NULL) = ({{there}} IS NULL))",
        v=value,
        back=back,
        there=there,
    )


def same(new: Sql, new_type: DataType, old: Sql, old_type: DataType, dropped: bool = False) -> Sql:
    """The condition that two storage values of different types convert to each other in both directions.

    With ``dropped``, fields of the old type that the new one lacks do not count.
    """
    if new_type == old_type:
        return fill("({{n}} IS NOT DISTINCT FROM {{o}})", n=new, o=old)
    back = convert(new, new_type, old_type)
    return fill(
        "(({{n}} IS NULL) = ({{o}} IS NULL) AND {{n}} IS NOT DISTINCT FROM {{there}}"
        " AND {{o}} IS NOT DISTINCT FROM {{back}})",
        n=new,
        o=old,
        there=convert(old, old_type, new_type),
        back=_refilled(back, old_type, new_type, old) if dropped else back,
    )


def renamed(old: DataType, new: DataType) -> DataType:
    """The new type, with the identities of the old fields for fields that look renamed.

    As with columns, a new field counts as a missing one between the same neighbours. The values have to confirm it.
    """
    if old.name != new.name or (len(old.fields) != len(new.fields) and new.name not in _NAMED):
        return new
    if new.name not in _NAMED:
        fields = tuple(
            replace(after, type=renamed(before.type, after.type))
            for before, after in zip(old.fields, new.fields, strict=True)
        )
        return replace(new, fields=fields)
    matched = _matched(old.fields, new.fields)
    return replace(new, fields=tuple(_identified(matched.get(f.name), f) for f in new.fields))


def type_of(column: Column) -> DataType:
    """The type of a column, as a tree."""
    return parse_type(column.type)


def _identified(before: Field | None, after: Field) -> Field:
    if before is None:
        return after
    return replace(after, type=renamed(before.type, after.type), renamed_from=before.identity)


def _matched(old: tuple[Field, ...], new: tuple[Field, ...]) -> dict[str, Field]:
    by_name = {f.identity: f for f in old}
    found = {f.name: by_name[f.identity] for f in new if f.identity in by_name}
    kept = [f.name for f in new if f.name in found]
    anchors = [f for f in old if any(f is match for match in found.values())]
    if [found[name] for name in kept] != anchors:
        return found
    old_ends = [-1, *(old.index(f) for f in anchors), len(old)]
    names = [f.name for f in new]
    new_ends = [-1, *(names.index(name) for name in kept), len(new)]
    for (start, end), (new_start, new_end) in zip(pairwise(old_ends), pairwise(new_ends), strict=True):
        removed, added = old[start + 1 : end], new[new_start + 1 : new_end]
        if len(removed) == len(added):
            found.update({after.name: before for before, after in zip(removed, added, strict=True)})
    return found


def _refilled(value: Sql, type: DataType, kept: DataType, before: Sql) -> Sql:
    """A value whose fields that the kept type lacks are those of an earlier value."""
    if type.name != "STRUCT" or kept.name != "STRUCT":
        return value
    fields = {field.identity: field for field in kept.fields}
    parts = []
    for field in type.fields:
        own, earlier = (fill("struct_extract({{v}}, {{n}})", v=v, n=literal(field.name)) for v in (value, before))
        found = fields.get(field.identity)
        part = _refilled(own, field.type, found.type, earlier) if found else earlier
        parts.append((field, own, part))
    if all(part == own for _, own, part in parts):
        return value
    packed = [fill("{{n}} := {{p}}", n=identifier(field.name), p=part) for field, _, part in parts]
    return fill("CASE WHEN {{v}} IS NOT NULL THEN struct_pack({{packed}}) END", v=value, packed=packed)


# Storage values are converted part by part, because a cast of the whole has other results. DuckDB 1.x refuses a
# statement because of one map key without a value of the new type. A union cannot lose a member, and a struct cannot
# lose all of its fields. Times with a time zone are converted as in UTC, so that no result depends on the time zone of
# the session.

Step = Callable[[Sql], Sql]

_TIMESTAMP_TZ = "TIMESTAMP WITH TIME ZONE"
_TIME_TZ = "TIME WITH TIME ZONE"
_ZONED = frozenset({_TIMESTAMP_TZ, _TIME_TZ, "TIMESTAMPTZ_NS"})
_TEXTS = frozenset({"VARCHAR", "JSON"})
_LISTS = frozenset({"LIST", "ARRAY"})
_CAST = "TRY_CAST({{value}} AS {{type}})"
_IN_UTC = "({{value}} AT TIME ZONE 'UTC')"
# DuckDB 1.x refuses the statement for a time beyond the range of nanoseconds, and TRY there changes the source value.
_TO_NANOSECONDS = (
    "CASE WHEN NOT isfinite({{value}}) OR CAST({{value}} AS TIMESTAMP) BETWEEN '1677-09-21 00:12:43.145225' "
    "AND '2262-04-11 23:47:16.854775' THEN TRY_CAST({{value}} AS {{type}}) END"
)
_MICROSECONDS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS")
_ZONED_CASTS = {
    (_TIMESTAMP_TZ, "VARCHAR"): (
        f"CASE WHEN isfinite({{{{value}}}}) THEN CAST({_IN_UTC} AS VARCHAR) || '+00' "
        "ELSE CAST({{value}} AS VARCHAR) END"
    ),
    (_TIMESTAMP_TZ, _TIME_TZ): f"CAST(CAST({_IN_UTC} AS TIME) || '+00' AS TIME WITH TIME ZONE)",
    ("TIME", _TIME_TZ): "CAST({{value}} || '+00' AS TIME WITH TIME ZONE)",
    **dict.fromkeys(
        ((_TIME_TZ, "TIME"), ("VARCHAR", _TIMESTAMP_TZ), ("VARCHAR", _TIME_TZ), (_TIME_TZ, "VARCHAR")), _CAST
    ),
    **dict.fromkeys(((_TIMESTAMP_TZ, "TIMESTAMPTZ_NS"), ("TIMESTAMPTZ_NS", _TIMESTAMP_TZ)), _CAST),
    **{(_TIMESTAMP_TZ, name): f"TRY_CAST({_IN_UTC} AS {{{{type}}}})" for name in ("DATE", "TIME", *_MICROSECONDS)},
    (_TIMESTAMP_TZ, "TIMESTAMP_NS"): _TO_NANOSECONDS.replace("{{value}}", _IN_UTC),
    **{
        (name, _TIMESTAMP_TZ): "(TRY_CAST({{value}} AS TIMESTAMP) AT TIME ZONE 'UTC')"
        for name in ("DATE", "TIMESTAMP_NS", *_MICROSECONDS)
    },
}
"""The casts with a time zone. Others would depend on the session, or DuckDB does not have them."""


def converted(value: Sql, source: Column, wanted: Column) -> Sql:
    """A storage value cast to another type of its column, or NULL if that type has no such value."""
    return convert(value, parse_type(source.type), parse_type(wanted.type))


def convert(value: Sql, source: DataType, wanted: DataType) -> Sql:
    """The same for types as trees. Their fields may have the identities of fields before a rename."""
    step = _step(source, wanted)
    return step(value) if step else _null(wanted.text)


def exactly(made: Sql, wanted: Column, value: Sql, source: Column) -> Sql:
    """The result of ``converted``, but NULL if it does not convert back to the value."""
    if widens(source.type, wanted.type):
        return made
    back = converted(made, wanted, source)
    return fill(Sql("CASE WHEN {{back}} IS NOT DISTINCT FROM {{v}} THEN {{made}} END"), back=back, v=value, made=made)


def differs(new: Sql, new_column: Column, old: Sql, old_column: Column) -> Sql:
    """The condition that two storage values of one column under two types do not convert to each other in both
    directions."""
    terms = []
    if not widens(new_column.type, old_column.type):
        forth = converted(old, old_column, new_column)
        terms.append(fill(Sql("{{n}} IS DISTINCT FROM {{o}}"), n=new, o=forth))
    if not widens(old_column.type, new_column.type):
        back = converted(new, new_column, old_column)
        terms.append(fill(Sql("{{n}} IS DISTINCT FROM {{o}}"), n=back, o=old))
    return fill(Sql("({{terms}})"), terms=joined(terms, " OR "))


def _null(type: str) -> Sql:
    return fill(Sql("CAST(NULL AS {{t}})"), t=storage_type(type))


def _step(old: DataType, new: DataType) -> Step | None:
    """The conversion of storage values of one type to another, or None if no value has one."""
    if old == new:
        return lambda value: value
    if not old.fields or not new.fields:
        return _cast(old, new)
    if old.name in _LISTS and new.name in _LISTS:
        return _list(old, new)
    if old.name != new.name:
        return None
    return {"MAP": _map, "STRUCT": _struct, "TUPLE": _tuple, "UNION": _union}[old.name](old, new)


def _cast(old: DataType, new: DataType) -> Step | None:
    """The conversion if one of the types has no parts. Text and JSON also convert to and from types with parts."""
    if (old.fields and new.name not in _TEXTS) or (new.fields and old.name not in _TEXTS):
        return None
    names = (old.name, new.name)
    text = _TO_NANOSECONDS if new.name == "TIMESTAMP_NS" and old.name in _MICROSECONDS else _CAST
    if _is_zoned(old) or _is_zoned(new):
        if names not in _ZONED_CASTS:
            return None
        text = _ZONED_CASTS[names]
    if new.fields and duckdb.__version__.startswith("1.") and any(part.name == "MAP" for part in new.parts()):
        # DuckDB refuses the statement for a text with a duplicate key.
        return None
    native = verbatim(new.text)
    cast: Step = lambda value: encode(fill(text, value=decode(value, old.text), type=native), new.text)  # noqa: E731
    return _unless_null(cast) if new.name == "UNION" else cast


def _is_zoned(type: DataType) -> bool:
    return any(leaf.name in _ZONED for leaf in type.leaves())


def _list(old: DataType, new: DataType) -> Step | None:
    item = _step(old.fields[0].type, new.fields[0].type)
    if item is None:
        return None
    parameter = fill("{{name}}", name=identifier(f"item{old.height}"))
    body = item(parameter)
    size = literal(int(new.arguments[0])) if new.name == "ARRAY" else None

    def step(value: Sql) -> Sql:
        items = value
        if body != parameter:
            items = fill("list_transform({{v}}, lambda {{p}}: {{body}})", v=value, p=parameter, body=body)
        if size is None:
            return items
        return fill("CASE WHEN len({{v}}) = {{size}} THEN {{items}} END", v=value, size=size, items=items)

    return step


def _map(old: DataType, new: DataType) -> Step | None:
    keys, values = (
        _list(DataType("", "LIST", (), (of,)), DataType("", "LIST", (), (to,)))
        for of, to in zip(old.fields, new.fields, strict=True)
    )
    if keys is None or values is None:
        return None
    made, put = keys, values

    def step(value: Sql) -> Sql:
        found = made(fill("map_keys({{v}})", v=value))
        return fill(
            "CASE WHEN list_unique({{keys}}) = cardinality({{v}}) THEN map({{keys}}, {{values}}) END",
            v=value,
            keys=found,
            values=put(fill("map_values({{v}})", v=value)),
        )

    return step


def _struct(old: DataType, new: DataType) -> Step | None:
    """Field by field, by the name before a rename, if any. A field that only the new type has is NULL."""
    return _fields(new, {field.identity: field for field in old.fields})


def _tuple(old: DataType, new: DataType) -> Step | None:
    if len(old.fields) != len(new.fields):
        return None
    return _fields(new, {field.identity: field for field in old.fields})


def _fields(new: DataType, old: dict[str, Field]) -> Step | None:
    packing = _packing(new, old)
    return _unless_null(packing) if packing else None


def _packing(new: DataType, old: dict[str, Field]) -> Step | None:
    """A STRUCT of the fields of a type, each converted from the field of that name, or None if none can be."""
    steps = []
    for field in new.fields:
        source = old.get(field.identity)
        steps.append((field, source, _step(source.type, field.type) if source else None))
    if all(step is None for _, _, step in steps):
        return None

    def packed(value: Sql) -> Sql:
        parts = []
        for field, source, step in steps:
            part = _null(field.type.text)
            if source and step:
                part = step(fill("struct_extract({{v}}, {{n}})", v=value, n=literal(source.name)))
            parts.append(fill("{{n}} := {{part}}", n=identifier(field.name), part=part))
        return fill("struct_pack({{parts}})", parts=parts)

    return packed


def _union(old: DataType, new: DataType) -> Step | None:
    """By the member of the value. NULL if the new type has no member of that name."""
    before = {field.identity: field for field in old.fields}
    shared = [(before[f.identity], f) for f in new.fields if f.identity in before]
    packing = _packing(new, before)
    if packing is None:
        return None
    whens = joined(
        [fill("WHEN {{old}} THEN {{new}}", old=literal(a.name), new=literal(b.name)) for a, b in shared], " "
    )

    def step(value: Sql) -> Sql:
        tag = fill("CASE struct_extract({{v}}, 'tag') {{whens}} END", v=value, whens=whens)
        members = packing(fill("struct_extract({{v}}, 'value')", v=value))
        return fill(
            'CASE WHEN {{tag}} IS NOT NULL THEN struct_pack(tag := {{tag}}, "value" := {{members}}) END',
            tag=tag,
            members=members,
        )

    return step


def _unless_null(step: Step) -> Step:
    return lambda value: fill("CASE WHEN {{v}} IS NOT NULL THEN {{made}} END", v=value, made=step(value))
