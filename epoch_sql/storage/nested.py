"""Storage of nested types: part by part, or by a cast of the whole if that has the same result.

Parquet has no fixed ARRAY (stored as a LIST), no TUPLE (stored as a STRUCT) and no UNION. A UNION is stored as its tag
and a STRUCT of all members, so that a NULL member keeps its tag, and differs from a NULL without a tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from epoch_sql.render import Sql, fill, identifier, joined, literal, verbatim
from epoch_sql.storage.scalars import Encoding, Step, cast_encoding, scalar
from epoch_sql.storage.types import DataType, Field

Extract = Callable[[Sql, Field], Sql]


def encoding_of(type: DataType) -> Encoding:
    """The encoding of a type, without collations. Raises UnsupportedType if a part of it has no exact encoding."""
    if not type.fields:
        return scalar(type)
    parts = [encoding_of(field.type) for field in type.fields]
    storage = _with_parts(_STORED_AS.get(type.name, type.name), type, [part.storage for part in parts])
    decoded = _with_parts(type.name, type, [part.decoded for part in parts])
    if type.name == "UNION":
        storage = fill('STRUCT(tag VARCHAR, "value" {{members}})', members=storage)
    elif all(part.casts for part in parts):
        return cast_encoding(verbatim(type.text), storage, decoded)
    encode, decode = _REBUILT[type.name](type, parts, decoded)
    return Encoding(storage, decoded, encode, decode)


def _with_parts(name: str, type: DataType, parts: Sequence[Sql]) -> Sql:
    """The text of a LIST (or ARRAY, without its size), MAP, TUPLE, STRUCT or UNION of the parts."""
    if name in ("LIST", "ARRAY"):
        return fill("{{item}}[]", item=parts[0])
    if name in ("STRUCT", "UNION"):
        named = zip(type.fields, parts, strict=True)
        parts = [fill("{{name}} {{part}}", name=verbatim(field.spelling), part=part) for field, part in named]
    return fill("{{name}}({{parts}})", name=Sql(name), parts=parts)


def _list(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    return _each(type, parts[0].encode), _each(type, parts[0].decode)


def _map(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    def rebuilt(key: Step, content: Step) -> Step:
        keys, contents = _each(type, key), _each(type, content)
        return lambda value: fill(
            "map({{keys}}, {{contents}})",
            keys=keys(fill("map_keys({{value}})", value=value)),
            contents=contents(fill("map_values({{value}})", value=value)),
        )

    return rebuilt(parts[0].encode, parts[1].encode), rebuilt(parts[0].decode, parts[1].decode)


def _struct(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    return (
        lambda value: _unless_null(value, _packed(type, [part.encode for part in parts], value, _extracted)),
        lambda value: _unless_null(value, _packed(type, [part.decode for part in parts], value, _extracted)),
    )


def _tuple(type: DataType, parts: Sequence[Encoding], _: Sql) -> tuple[Step, Step]:
    def decode(value: Sql) -> Sql:
        decoded = [part.decode(_extracted(value, field)) for field, part in zip(type.fields, parts, strict=True)]
        return _unless_null(value, fill("row({{parts}})", parts=decoded))

    return lambda value: _unless_null(value, _packed(type, [part.encode for part in parts], value, _at_place)), decode


def _union(type: DataType, parts: Sequence[Encoding], decoded: Sql) -> tuple[Step, Step]:
    def encode(value: Sql) -> Sql:
        packed = fill(
            'struct_pack(tag := CAST(union_tag({{value}}) AS VARCHAR), "value" := {{members}})',
            value=value,
            members=_packed(type, [part.encode for part in parts], value, _member),
        )
        return _unless_null(value, packed)

    def decode(value: Sql) -> Sql:
        members = fill("struct_extract({{value}}, 'value')", value=value)
        branches = [
            fill(
                "WHEN {{tag}} THEN CAST(union_value({{name}} := {{member}}) AS {{type}})",
                tag=literal(field.name),
                name=identifier(field.name),
                member=part.decode(_extracted(members, field)),
                type=decoded,
            )
            for field, part in zip(type.fields, parts, strict=True)
        ]
        whens = joined(branches, " ")
        return fill("CASE struct_extract({{value}}, 'tag') {{whens}} END", value=value, whens=whens)

    return encode, decode


def _each(type: DataType, step: Step) -> Step:
    """The step for each element of a list. The height gives nested parameters different names."""
    parameter = fill("{{name}}", name=identifier(f"part{type.height}"))
    changed = step(parameter)
    if changed == parameter:
        return lambda value: value
    return lambda value: fill(
        "list_transform({{list}}, lambda {{parameter}}: {{changed}})", list=value, parameter=parameter, changed=changed
    )


def _packed(type: DataType, steps: Sequence[Step], value: Sql, extract: Extract) -> Sql:
    """A STRUCT of the parts of a value, each after its step."""
    packed = [
        fill("{{name}} := {{part}}", name=identifier(field.name), part=step(extract(value, field)))
        for field, step in zip(type.fields, steps, strict=True)
    ]
    return fill("struct_pack({{packed}})", packed=packed)


def _extracted(value: Sql, field: Field) -> Sql:
    return fill("struct_extract({{value}}, {{name}})", value=value, name=literal(field.name))


def _member(value: Sql, field: Field) -> Sql:
    return fill("union_extract({{value}}, {{name}})", value=value, name=literal(field.name))


def _at_place(value: Sql, field: Field) -> Sql:
    place = int(field.name.removeprefix("element"))
    return fill("struct_extract_at({{value}}, {{place}})", value=value, place=literal(place))


def _unless_null(value: Sql, otherwise: Sql) -> Sql:
    return fill("CASE WHEN ({{value}}) IS NOT NULL THEN {{otherwise}} END", value=value, otherwise=otherwise)


_STORED_AS = {"ARRAY": "LIST", "TUPLE": "STRUCT", "UNION": "STRUCT"}

_REBUILT: dict[str, Callable[[DataType, Sequence[Encoding], Sql], tuple[Step, Step]]] = {
    "LIST": _list,
    "ARRAY": _list,
    "MAP": _map,
    "STRUCT": _struct,
    "TUPLE": _tuple,
    "UNION": _union,
}
