"""The macro ``epoch_at`` of a published file, in plain SQL: the tables and views of every branch, tag and recent
commit.

A view is the text that ``epoch_at`` of the package binds, around those of the tables that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product

from epoch_sql import render
from epoch_sql.call import Call, is_trusted
from epoch_sql.errors import EpochStorageError
from epoch_sql.model.commit import Level, Tree
from epoch_sql.model.revisions import HEAD, short_ids
from epoch_sql.model.schema import ObjectName
from epoch_sql.publish.compacting import compacted
from epoch_sql.publish.places import Reference
from epoch_sql.publish.views import Refused, Views, known_views
from epoch_sql.publish.withheld import AT, harmful
from epoch_sql.render import Sql
from epoch_sql.versions.sides import native_rows

DATABASE = "epoch__published"
"""The name of the published file while it is written. It is not kept in the file."""
RECENT = 20
"""How many commits of the published reference ``epoch_at`` knows by their ids."""

Levels = Mapping[str, Sequence[Level]]
"""The levels of versions, base first."""


def at_macro(call: Call, reference: Reference, levels: Levels) -> tuple[Sql, list[Level]]:
    """The macro, and the levels that it reads."""
    named = names(call, reference)
    roots = {name: call.commits.get(commit_id).root_id for name, commit_id in named.items()}
    trees = [call.trees.load(root) for root in dict.fromkeys(roots.values())]
    states = {root: number for number, root in enumerate(dict.fromkeys(roots.values()))}
    texts = _Texts(call, levels, trees)
    found = [texts.numbers(tree) for tree in trees]
    relations = {name.folded: name for tree in trees for name in _relations(tree)}
    spelled = {text: number for number, name in enumerate(relations.values(), 1) for text in _spellings(name)}
    numbers = [entries.get(folded, 0) for entries in found for folded in relations]
    known = [ref.name for kind in ("branch", "tag") for ref in call.refs.all(kind).values()]
    with render.for_database(DATABASE):
        macro = render.render(
            "publish.at",
            name=render.table(ObjectName("main", AT)),
            pieces=render.strings([*texts.pieces] or [""]),
            texts=_list(map(_numbers, [*texts.texts] or [(1,)])),
            numbers=_numbers(numbers or [0]),
            states=_numbers([states[root] for root in roots.values()]),
            refs=render.strings([*roots]),
            width=render.literal(len(relations)),
            relations=_numbers([*spelled.values()] or [0]),
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


def _relations(tree: Tree) -> Iterator[ObjectName]:
    yield from (entry.name for entry in tree.tables.values())
    yield from (found.name for found in tree.objects if found.kind == "view")


class _Texts:
    """The texts that give the rows of relations, in pieces: each piece once, and each text once.

    A relation that cannot be read has a text that says so.
    """

    def __init__(self, call: Call, levels: Levels, trees: Sequence[Tree]) -> None:
        self.call = call
        self.pieces: dict[str, int] = {}
        self.texts: dict[tuple[int, ...], int] = {}
        self.levels: list[Level] = []
        ids = list(dict.fromkeys(entry.version_id for tree in trees for entry in tree.tables.values()))
        self._known: Levels = {**compacted(call, ids), **levels}
        self._harmful = harmful(Tree(), map(call.contents.table, ids))
        self._known_views = known_views(trees)
        self._numbers: dict[object, int] = {}

    def numbers(self, tree: Tree) -> dict[tuple[str, str], int]:
        """The number of the text of each table and view, from 1."""
        views = Views(self.call, tree, self._known_views)
        found = {view.name.folded: self._number(views.key(view), partial(views.pieces, view)) for view in views.all}
        for entry in tree.tables.values():
            pieces = partial(iter, [(entry.version_id, True)])
            found[entry.name.folded] = self._number(entry.version_id, pieces)
        return found

    def _number(self, key: object, pieces: Callable[[], Iterator[tuple[str, bool]]]) -> int:
        if key not in self._numbers:
            try:
                text = [self._rows_of(piece) if is_version else piece for piece, is_version in pieces()]
            except Refused as refused:
                text = [refused.text]
            numbers = tuple(self.pieces.setdefault(piece, len(self.pieces) + 1) for piece in text)
            self._numbers[key] = self.texts.setdefault(numbers, len(self.texts) + 1)
        return self._numbers[key]

    def _rows_of(self, version_id: str) -> Sql:
        """The rows of a version. Raises Refused for a table that cannot be read."""
        contents = self.call.contents
        table = contents.table(version_id)
        if not is_trusted(self.call, table):
            raise Refused(table, "it came from a remote that is not trusted")
        if table in self._harmful:
            raise Refused(table, self._harmful[table])
        found = self._known.get(version_id) or contents.levels(version_id)
        try:
            rows = native_rows(table, contents.state_of(table, found))
        except EpochStorageError as error:
            raise Refused(table, error.message) from error
        self.levels += found
        return rows


def _spellings(name: ObjectName) -> set[str]:
    """How a relation can be named in an argument, in lower case: each part with or without quotes, in main without a
    schema."""
    forms = [(part, f'"{part.replace(chr(34), chr(34) * 2)}"') for part in (*name.schema_path, name.name)]
    found = {str(name), name.as_schema, *map(".".join, product(*forms))}
    return {text.lower() for text in (found | {*forms[-1]} if name.schema == "main" else found)}


def _list(items: Iterable[Sql]) -> Sql:
    return render.fill("[{{items}}]", items=[*items])


def _numbers(numbers: Iterable[int]) -> Sql:
    return _list(map(render.literal, numbers))
