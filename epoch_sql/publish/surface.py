"""What a published file holds, as statements in an order of creation: the tables of a commit as views over Parquet
files, the user's schemas, types, sequences, macros, views and comments, and ``epoch_at`` in plain SQL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from epoch_sql import render
from epoch_sql.call import Call, is_trusted, now
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Level, Tree
from epoch_sql.model.revisions import HEAD, short_ids
from epoch_sql.model.schema import ObjectName, SchemaObject, Table
from epoch_sql.proof.definitions import called, take_apart_own
from epoch_sql.proof.engine import shut_in
from epoch_sql.proof.harmless import Context, offences
from epoch_sql.publish.compacting import compacted
from epoch_sql.publish.places import Reference
from epoch_sql.render import Sql
from epoch_sql.versions.sides import native_rows
from epoch_sql.worktree import ddl
from epoch_sql.worktree.ordering import definition_order

DATABASE = "epoch__published"
"""The name of the published file while it is written. It is not kept in the file."""
ABOUT = "epoch_published"
AT = "epoch_at"
RECENT = 20
"""How many commits of the published reference ``epoch_at`` knows by their ids."""

Definition = Table | SchemaObject
Levels = Mapping[str, Sequence[Level]]
"""The levels of versions, base first."""


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
    refused = _harmful(tree, (d for d in definitions if d not in withheld)) | withheld
    made = [
        Made(called(definition), _statements(call, definition, tables, materialize))
        for definition in definition_order([*tables], tree.objects)
        if definition not in refused
    ]
    used = [level for table, levels in tables.items() if table not in refused for level in levels]
    made.append(Made("what it is of", (_about(call, reference),)))
    if not materialize:
        at, others = _at(call, reference, levels)
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


def _harmful(tree: Tree, definitions: Iterable[Definition]) -> dict[Definition, str]:
    """What may do more than compute from what the file holds, because it runs in the program of whoever reads it."""
    suspects = {_computed(definition): definition for definition in definitions if not _plain(definition)}
    if not suspects:
        return {}
    relations = {e.name.folded for e in tree.tables.values()} | {
        o.name.folded for o in tree.objects if o.kind == "view"
    }
    with shut_in() as engine:
        parsed = take_apart_own(engine, [*suspects])
        macros = take_apart_own(engine, [found for found in tree.objects if found.kind == "macro"])
    context = Context(tuple(macros), lambda *name: name in relations, frozenset({AT}))
    return {suspects[found]: reason for found, reason in offences(parsed, context).items()}


def _computed(definition: Definition) -> Definition:
    """A definition with what a reader computes of it: of a table, the generated columns."""
    if isinstance(definition, SchemaObject):
        return definition
    columns = tuple(replace(column, default=None, fill=None) for column in definition.columns)
    return Table(definition.name, columns)


def _plain(definition: Definition) -> bool:
    """Whether a reader computes nothing of a definition."""
    if isinstance(definition, SchemaObject):
        return definition.kind not in ("macro", "view")
    return all(column.stored for column in definition.columns)


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


def _at(call: Call, reference: Reference, levels: Levels) -> tuple[Sql, list[Level]]:
    """The macro ``epoch_at``, and the levels that it reads."""
    named = names(call, reference)
    roots = {name: call.commits.get(commit_id).root_id for name, commit_id in named.items()}
    trees = [call.trees.load(root) for root in dict.fromkeys(roots.values())]
    states = {root: number for number, root in enumerate(dict.fromkeys(roots.values()))}
    versions = [{entry.name.folded: entry.version_id for entry in tree.tables.values()} for tree in trees]
    tables = {entry.name.folded: entry.name for tree in trees for entry in tree.tables.values()}
    spelled = {text: number for number, name in enumerate(tables.values(), 1) for text in _spellings(name)}
    texts = _Texts(call, levels, [version_id for found in versions for version_id in found.values()])
    numbers = [texts.number(found[folded]) if folded in found else 0 for found in versions for folded in tables]
    known = [ref.name for kind in ("branch", "tag") for ref in call.refs.all(kind).values()]
    with render.for_database(DATABASE):
        macro = render.render(
            "publish.at",
            name=render.table(ObjectName("main", AT)),
            texts=render.strings(texts.texts or [""]),
            numbers=_numbers(numbers or [0]),
            states=_numbers([states[root] for root in roots.values()]),
            refs=render.strings([*roots]),
            width=render.literal(len(tables)),
            tables=_numbers([*spelled.values()] or [0]),
            spelled=render.strings([*spelled] or [""]),
            known=render.literal(", ".join(known)),
        )
    return macro, texts.levels


def names(call: Call, reference: Reference) -> dict[str, str]:
    """The names that ``epoch_at`` knows, and their commits: HEAD is the published one."""
    recent = call.graph().first_parents(reference.commit_id)
    ids = [commit_id for commit_id, _ in zip(recent, range(RECENT), strict=False)]
    found = dict(zip(short_ids(ids), ids, strict=True)) | {commit_id: commit_id for commit_id in ids}
    for kind in ("tag", "branch"):
        found |= {name: ref.commit_id for name, ref in call.refs.all(kind).items()}
    return found | {HEAD: reference.commit_id}


class _Texts:
    """The texts that give the rows of versions, each once. A table that cannot be read is left out."""

    def __init__(self, call: Call, levels: Levels, version_ids: Iterable[str]) -> None:
        self.call = call
        self.texts: list[str] = []
        self.levels: list[Level] = []
        ids = list(dict.fromkeys(version_ids))
        self._known: Levels = {**compacted(call, ids), **levels}
        self._harmful = _harmful(Tree(), map(call.contents.table, ids))
        self._numbers: dict[str, int] = {}

    def number(self, version_id: str) -> int:
        """The number of the text of a version, from 1. 0 if it is left out."""
        if version_id not in self._numbers:
            self._numbers[version_id] = self._number(version_id)
        return self._numbers[version_id]

    def _number(self, version_id: str) -> int:
        contents = self.call.contents
        table = contents.table(version_id)
        if table in self._harmful or not is_trusted(self.call, table):
            return 0
        found = self._known.get(version_id) or contents.levels(version_id)
        try:
            self.texts.append(native_rows(table, contents.state_of(table, found)))
        except EpochStorageError:
            # It says so where it is published itself, and fsck does.
            return 0
        self.levels += found
        return len(self.texts)


def _spellings(name: ObjectName) -> set[str]:
    """How a table can be named in an argument, in lower case: with and without quotes, in main without a schema."""
    quoted = [f'"{part.replace(chr(34), chr(34) * 2)}"' for part in (*name.schema_path, name.name)]
    found = {str(name), name.as_schema, ".".join(quoted), *([quoted[-1]] if name.schema == "main" else [])}
    return {text.lower() for text in found}


def _numbers(numbers: Sequence[int]) -> Sql:
    return render.fill("[{{numbers}}]", numbers=[render.literal(number) for number in numbers])
