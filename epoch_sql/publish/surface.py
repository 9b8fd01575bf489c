"""What a published file holds, as statements in an order of creation: the tables of a commit as views over Parquet
files, the user's schemas, types, sequences, macros, views and comments, and ``epoch_at`` in plain SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from epoch_sql import render
from epoch_sql.call import Call, is_trusted, now
from epoch_sql.model.commit import Level
from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.proof.definitions import Definition, called
from epoch_sql.publish.at import DATABASE, Levels, at_macro
from epoch_sql.publish.places import Reference
from epoch_sql.publish.withheld import AT, harmful
from epoch_sql.render import Sql
from epoch_sql.versions.sides import native_rows
from epoch_sql.worktree import ddl
from epoch_sql.worktree.ordering import definition_order

ABOUT = "epoch_published"


@dataclass(frozen=True)
class Made:
    """Something to create: what it is, in words, and its statements."""

    what: str
    statements: tuple[Sql, ...]


@dataclass(frozen=True)
class Surface:
    """Everything to create, the number of tables, the files that it reads, and what is left out, with the reason."""

    made: tuple[Made, ...]
    tables: int
    file_ids: tuple[str, ...]
    left_out: tuple[str, ...]


def surface(call: Call, reference: Reference, levels: Levels, materialize: bool) -> Surface:
    """What the file of a reference holds. ``levels`` are those of its versions.

    With ``materialize`` it holds the rows themselves, and names no other file.
    """
    tree = call.tree(reference.commit_id)
    tables = {call.contents.table(e.version_id): levels[e.version_id] for e in tree.tables.values()}
    definitions: list[Definition] = [*tables, *tree.objects]
    withheld = {d: "it came from a remote that is not trusted" for d in definitions if not is_trusted(call, d)}
    refused = harmful(tree, (d for d in definitions if d not in withheld)) | withheld
    made = [
        Made(called(definition), _statements(call, definition, tables, materialize))
        for definition in definition_order([*tables], tree.objects)
        if definition not in refused
    ]
    used = [level for table, levels in tables.items() if table not in refused for level in levels]
    made.append(Made("what it is of", (_about(call, reference),)))
    if not materialize:
        at, others = at_macro(call, reference, levels)
        made.append(Made(AT, (at,)))
        used += others
    return Surface(
        tuple(made),
        sum(table not in refused for table in tables),
        () if materialize else tuple(sorted({file.file_id for level in used for file in level.files})),
        tuple(f"{called(definition)}: {reason}" for definition, reason in refused.items()),
    )


def _statements(
    call: Call, definition: Definition, tables: Mapping[Table, Sequence[Level]], materialize: bool
) -> tuple[Sql, ...]:
    if isinstance(definition, SchemaObject):
        with render.for_database(DATABASE):
            return tuple(ddl.create_object(definition))
    rows = native_rows(definition, call.contents.state_of(definition, tables[definition]))
    return tuple(_relation(definition, rows, "TABLE" if materialize else "VIEW"))


def _relation(table: Table, rows: Sql, kind: str) -> Iterator[Sql]:
    with render.for_database(DATABASE):
        name = render.table(table.name)
        yield render.render("publish.relation", kind=Sql(kind), name=name, rows=rows)
        if table.comment is not None:
            yield ddl.comment_on(kind, name, table.comment)
        for column in table.columns:
            if column.comment is not None:
                yield ddl.comment_on_column(table.name, column.name, column.comment)


def _about(call: Call, reference: Reference) -> Sql:
    commit = call.commits.get(reference.commit_id)
    with render.for_database(DATABASE):
        return render.render(
            "publish.about",
            name=render.table(ObjectName("main", ABOUT)),
            ref=render.literal(reference.name),
            commit_id=render.literal(commit.commit_id),
            committed_at=render.literal(str(commit.committed_at)),
            published_at=render.literal(str(now())),
        )
