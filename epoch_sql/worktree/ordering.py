"""The order in which definitions can be created: each after what it refers to.

DuckDB records dependencies only in part, and renumbers its objects on ALTER (1.4) and restart. So references are found
in the text. Names in a FROM list, qualified names, and names of macros before a parenthesis count for certain. Other
mentions of a name count only if they make no cycle.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from epoch_sql.model.schema import ObjectName, SchemaObject, Table, expressions
from epoch_sql.model.sql_text import Token, tokens, top_level

Definition = Table | SchemaObject
FIRST = ("schema", "type", "sequence")
"""The kinds of objects that are created before all tables, macros and views."""

_ENDS_OF_FROM = (
    *("SELECT", "WHERE", "GROUP", "HAVING", "WINDOW", "QUALIFY", "ORDER", "LIMIT", "OFFSET"),
    *("UNION", "INTERSECT", "EXCEPT"),
)


def creation_order(tables: Sequence[Table]) -> list[Table]:
    """The tables, each after the tables that its foreign keys refer to."""
    ordered = sorted(tables, key=lambda table: table.name)
    positions = {_table_key(table.name.schema, table.name.name): position for position, table in enumerate(ordered)}
    needs = [dict.fromkeys(_parents(table, positions), True) for table in ordered]
    return [ordered[position] for position in _sorted(needs)]


def object_order(objects: Sequence[SchemaObject]) -> list[SchemaObject]:
    """Schemas, types and sequences (tables come next), then macros and views, each after the objects that it uses."""
    return [found for found in definition_order((), objects) if isinstance(found, SchemaObject)]


def definition_order(tables: Sequence[Table], objects: Sequence[SchemaObject]) -> list[Definition]:
    """All definitions in an order of creation. Tables come after the macros in their expressions.

    A type comes after the types that it was made of: its meaning contains theirs.
    """
    first = sorted((o for o in objects if o.kind in FIRST), key=_rank)
    last = sorted((o for o in objects if o.kind not in FIRST), key=lambda o: (o.kind, o.name))
    rest: list[Definition] = [*sorted(tables, key=lambda table: table.name), *last]
    table_positions = {_table_key(d.name.schema, d.name.name): n for n, d in enumerate(rest) if isinstance(d, Table)}
    named = _positions_of_names(rest)
    needs = []
    for position, definition in enumerate(rest):
        found = _references(definition, rest, named)
        if isinstance(definition, Table):
            found |= dict.fromkeys(_parents(definition, table_positions), True)
        found.pop(position, None)
        needs.append(found)
    return [*first, *(rest[position] for position in _sorted(needs))]


def references(definition: Definition, others: Sequence[Definition]) -> dict[int, bool]:
    """The tables, macros and views among the others that a definition mentions, by position, and whether it
    certainly refers to them."""
    return _references(definition, others, _positions_of_names(others))


def meaning(made: SchemaObject) -> str:
    """The type behind a user's type, which DuckDB prints for columns of it."""
    start = next(word.end for word in top_level(made.definition) if word.is_word("AS"))
    return made.definition[next(tokens(made.definition, start)).start :].rstrip("; ")


def _rank(obj: SchemaObject) -> tuple[int, int, ObjectName]:
    return FIRST.index(obj.kind), len(meaning(obj)) if obj.kind == "type" else 0, obj.name


def _positions_of_names(definitions: Sequence[Definition]) -> Mapping[str, Sequence[int]]:
    named = defaultdict(list)
    for position, definition in enumerate(definitions):
        named[definition.name.name.lower()].append(position)
    return named


def _sorted(needs: Sequence[Mapping[int, bool]]) -> list[int]:
    """Positions in an order that respects ``needs`` (position → certain), as far as the uncertain ones allow."""
    remaining = list(range(len(needs)))
    done: dict[int, None] = {}
    while remaining:
        ready = [n for n in remaining if needs[n].keys() <= done.keys()]
        if not ready:
            certain = (n for n in remaining if all(m in done for m, sure in needs[n].items() if sure))
            ready = [next(certain, remaining[0])]
        done.update(dict.fromkeys(ready))
        remaining = [n for n in remaining if n not in done]
    return list(done)


def _parents(table: Table, positions: Mapping[tuple[str, str], int]) -> Iterator[int]:
    for key in table.foreign_keys:
        position = positions.get(_table_key(table.name.schema, key.referenced or ""))
        if position is not None and (key.referenced or "").lower() != table.name.name.lower():
            yield position


def _table_key(schema: str, name: str) -> tuple[str, str]:
    return schema.lower(), name.lower()


def _references(
    definition: Definition, all_definitions: Sequence[Definition], named: Mapping[str, Sequence[int]]
) -> dict[int, bool]:
    """What a definition mentions, and whether the mention certainly is a reference."""
    found: dict[int, bool] = {}
    text = list(tokens(expressions(definition)))
    for number, relation in enumerate(_relation_positions(text)):
        name = text[number].name
        for position in named.get(name.lower(), ()) if name is not None else ():
            certain = _certainty(text, number, relation, all_definitions[position])
            if certain is not None:
                found[position] = found.get(position, False) or certain
    return found


def _relation_positions(text: Sequence[Token]) -> Iterator[bool]:
    """For each token, whether a relation may be there: after FROM, JOIN, a comma or a bracket in a FROM clause."""
    clauses = [False]
    expected = False
    for token in text:
        yield expected
        if token.text in "([{":
            clauses.append(expected)
        elif token.text in ")]}" and len(clauses) > 1:
            clauses.pop()
            expected = False
        elif token.is_word("FROM", "JOIN"):
            clauses[-1] = expected = True
        elif token.is_word(*_ENDS_OF_FROM):
            clauses[-1] = expected = False
        else:
            expected = token.text == "," and clauses[-1]


def _certainty(text: Sequence[Token], number: int, relation: bool, target: Definition) -> bool | None:
    """Whether the mention certainly is one of ``target``. None if it certainly is not."""
    called = number + 1 < len(text) and text[number + 1].text == "("
    if called != (isinstance(target, SchemaObject) and target.kind == "macro"):
        return None
    qualifiers = _qualifiers(text, number)
    if qualifiers:
        schema = [part.lower() for part in target.name.schema_path]
        return True if schema in (qualifiers, qualifiers[1:]) else None
    return called or relation


def _qualifiers(text: Sequence[Token], number: int) -> list[str]:
    """The names before a name, in lower case: its schemas, and perhaps its database."""
    found: list[str] = []
    while number >= 2 and text[number - 1].text == "." and (name := text[number - 2].name) is not None:
        found.insert(0, name.lower())
        number -= 2
    return found
