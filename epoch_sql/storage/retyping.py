"""Whether values that are converted to another type convert back to themselves, at any depth.

Fields of structs and members of unions are matched by identity: their name, or their name before a rename (see
``renamed``).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from epoch_sql.model.schema import Column
from epoch_sql.render import Sql, fill, identifier, literal
from epoch_sql.storage.conversion import convert
from epoch_sql.storage.types import DataType, Field, parse_type

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
        gone, come = old[start + 1 : end], new[new_start + 1 : new_end]
        if len(gone) == len(come):
            found.update({after.name: before for before, after in zip(gone, come, strict=True)})
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
