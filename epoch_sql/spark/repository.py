"""A repository in Spark: its states and differences as DataFrames, straight from the files of a store."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from epoch_sql import render
from epoch_sql.advice import Advice, Suggestion
from epoch_sql.errors import EpochRemoteError, EpochTableError, EpochWarning, UnsupportedType
from epoch_sql.history.listing import LogEntry
from epoch_sql.model.commit import TableEntry, Tree
from epoch_sql.model.names import name_meant
from epoch_sql.model.schema import Column, ObjectName, Table
from epoch_sql.proof.engine import shut_in
from epoch_sql.remote.proving import taken_apart
from epoch_sql.remote.reading import StoredRepository
from epoch_sql.remote.references import StoredRef
from epoch_sql.render import Sql
from epoch_sql.spark.frames import Frames
from epoch_sql.spark.types import native, native_type, quoted
from epoch_sql.spark.views import NotCarried, carried, view_names
from epoch_sql.spark.writer import Writer
from epoch_sql.storage.shape import Shape, columns, shape_of
from epoch_sql.storage.types import parse_type
from epoch_sql.verb import columns_of
from epoch_sql.versions.differences import changes_of_versions, differences
from epoch_sql.versions.sides import changed_columns, crossing, expanded, pairs, tree_side


@dataclass(frozen=True)
class Views:
    """The temporary views that ``SparkRepository.views`` made, and why others were left out, by name."""

    made: list[str]
    left_out: dict[str, str]


class SparkRepository(Writer):
    """The repository of a store, for a Spark session. Reading needs no clone.

    A reference means what it means when it is named: the DataFrame stays at that commit, however the branch moves.
    """

    def __init__(
        self, spark: Any, stored: StoredRepository, author: str | None = None, clone: str | Path | None = None
    ) -> None:
        super().__init__(spark, str(stored.store.url), author, clone)
        self.stored = stored
        self._frames = Frames(spark, stored)

    def table(self, ref: str, name: str) -> Any:
        """A table as of a reference, in its own columns, as a DataFrame.

        Generated columns are left out, with a warning. Raises TableNotFound, EpochReferenceError, EpochStorageError for
        a damaged store, and UnsupportedType for a column that Spark cannot hold.

        Args:
            ref: a branch, a tag or a commit
            name: `orders` or `schema.orders`
        """
        return self._rows(self.stored.entry(self.stored.resolve(ref), name, ref))

    def diff(self, from_ref: str, to_ref: str, name: str) -> Any:
        """The rows of a table that differ between two references, in the columns of `epoch_diff`, as a DataFrame.

        Args:
            from_ref: the older side
            to_ref: the newer side
            name: `orders` or `schema.orders`
        """
        before, after = self.stored.resolve(from_ref), self.stored.resolve(to_ref)
        self.stored.load_between(before, after)
        first, second = (tree_side(self.stored.contents, tree) for tree in self._about(name, before, after))
        (difference,) = differences(first, second, name)
        old, new = (side.table if side else None for side in (difference.before, difference.after))
        if old and new and crossing(old, new):
            names = ", ".join(c.name for c in new.columns if c.id in crossing(old, new))
            raise EpochTableError(
                f"column {names} of table {new.name} is generated on one side only, which Spark does not compute",
                "compare them in DuckDB, in a clone",
                table=str(new.name),
                column=names,
            )
        changes, shape = changes_of_versions(self.stored.contents, difference)
        _require_grouped(new or old, shape, "compare them in DuckDB, in a clone")
        outputs = [*shape.keys(), *columns("n", shape.values), *columns("o", shape.values)]
        sql = render.fill(
            Sql("SELECT op, {{changed}} AS changed_columns, {{outputs}} FROM ({{changes}}) AS changes"),
            changed=changed_columns(shape),
            outputs=outputs,
            changes=expanded(changes, shape),
        )
        frame = self._frames.of(sql, [table for table in (old, new) if table])
        return frame.select(F.col("op").alias("diff_type"), F.col("changed_columns"), *self._sides(old, new, shape))

    def views(self, ref: str, *, prefix: str = "") -> Views:
        """Temporary views of all tables as of a reference, and of the views of users that mean the same in Spark.

        Says which were left out, and warns of them. A table of another schema than main is called `schema_table`.

        Args:
            ref: a branch, a tag or a commit
            prefix: what the names of the views begin with
        """
        tree = self.stored.prove_tree(self.stored.resolve(ref))
        users = [found for found in tree.objects if found.kind == "view"]
        with shut_in() as engine:
            taken_apart(engine, self.stored.store.where, users)
        entries = {entry.name: entry for entry in tree.tables.values()}
        names = {name: prefix + view for name, view in view_names([*entries, *(o.name for o in users)]).items()}
        _require_distinct(names)
        for name, entry in entries.items():
            self._rows(entry).createOrReplaceTempView(_plain(names[name]))
        made, left_out = {name: names[name] for name in entries}, dict[ObjectName, str]()
        for view in users:
            try:
                self._frames.run(carried(view, made, left_out)).createOrReplaceTempView(_plain(names[view.name]))
                made[view.name] = names[view.name]
            except (NotCarried, EpochRemoteError) as reason:
                left_out[view.name] = reason.message if isinstance(reason, EpochRemoteError) else str(reason)
                warnings.warn(f"view {view.name} is left out: {left_out[view.name]}", EpochWarning, stacklevel=2)
        return Views([*made.values()], {str(name): reason for name, reason in left_out.items()})

    def log(self, ref: str | None = None) -> Any:
        """The commits that a reference reaches, newest first, in the columns of `epoch_log`, as a DataFrame.

        Args:
            ref: where to start; by default the branch that a clone checks out first
        """
        tip = self.stored.resolve(ref or self.stored.header.default_branch)
        graph, listing = self.stored.graph(tip), self.stored.references()
        at: dict[str, list[str]] = {}
        for found in (listing.heads, listing.tags):
            for name in sorted(found):
                at.setdefault(found[name].ref.commit_id, []).append(name)
        commits = [self.stored.commit(i).commit for i in graph.newest_first(tip)]
        rows = [
            (c.commit_id, list(c.parents), c.author, c.committed_at, c.message, at.get(c.commit_id, []))
            for c in commits
        ]
        return self.spark.createDataFrame(rows, _ddl(LogEntry))

    def branches(self) -> Any:
        """The branches of the store and their commits, as a DataFrame."""
        return self._references(self.stored.references().heads)

    def tags(self) -> Any:
        """The tags of the store and their commits, as a DataFrame."""
        return self._references(self.stored.references().tags)

    def tables(self, ref: str) -> Any:
        """The names of the tables as of a reference, as a DataFrame.

        Args:
            ref: a branch, a tag or a commit
        """
        tree = self.stored.tree(self.stored.resolve(ref))
        return self.spark.createDataFrame(sorted((str(e.name),) for e in tree.tables.values()), "name string")

    def _references(self, found: Mapping[str, StoredRef]) -> Any:
        rows = [(name, found[name].ref.commit_id) for name in sorted(found)]
        return self.spark.createDataFrame(rows, "name string, commit_id string")

    def _rows(self, entry: TableEntry) -> Any:
        contents = self.stored.contents
        table = contents.table(entry.version_id)
        self._tell_generated(table)
        if len(contents.levels(entry.version_id)) > 2:
            advice = (
                "write it again: ",
                Suggestion("compact", str(table.name)),
                "; then ",
                Suggestion("push", layout=True),
            )
            _require_grouped(table, shape_of(None, table), advice)
        frame = self._frames.of(contents.state(entry.version_id), [table])
        return frame.select(*(self._value(F.col(f"c{c.id}"), c.type).alias(c.name) for c in table.stored_columns))

    def _sides(self, old: Table | None, new: Table | None, shape: Shape) -> Iterator[Any]:
        """The columns of a difference, in the order of ``epoch_diff``."""
        found = [pair for pair in pairs(old, new) if all(c is None or c.stored for c in (pair.before, pair.after))]
        taken = {p.from_name.lower() for p in found if p.before} | {p.to_name.lower() for p in found if p.after}
        for pair in found:
            if pair.before or pair.from_name.lower() not in taken:
                yield self._side(pair.before, pair.after, shape, "o").alias(pair.from_name)
            if pair.after or pair.to_name.lower() not in taken:
                yield self._side(pair.after, pair.before, shape, "n").alias(pair.to_name)
        for table in (old, new):
            if table:
                self._tell_generated(table)

    def _side(self, column: Column | None, like: Column | None, shape: Shape, prefix: str) -> Any:
        """The value of a column on one side of a change, as ``versions.sides.value`` gives it in DuckDB."""
        if column is None:
            assert like
            return F.lit(None).cast(native_type(parse_type(like.type)))
        key = shape.key_of(column.id, old=prefix == "o")
        if key is None:
            return self._value(F.col(f"{prefix}{column.id}"), column.type)
        present = F.when(F.col("op") != F.lit("removed" if prefix == "n" else "added"), F.col(f"`k{key.id}`"))
        value = self._value(present, key.type)
        return value if key.type == column.type else value.try_cast(native_type(parse_type(column.type)))

    def _value(self, stored: Any, type: str) -> Any:
        step = native(parse_type(type), self._frames.times)
        return step(stored) if step else stored

    def _about(self, name: str, *commits: str) -> list[Tree]:
        """The trees of commits with what a difference of one table needs: that table, and what it is paired with."""
        trees = [self.stored.tree(commit_id) for commit_id in commits]
        entries = [entry for tree in trees for entry in tree.tables.values()]
        meant = name_meant(name, [entry.name for entry in entries])
        ids = {entry.table_id for entry in entries if entry.name == meant}
        names = {entry.name.folded for entry in entries if entry.table_id in ids}
        return [
            Tree({i: e for i, e in tree.tables.items() if i in ids or e.name.folded in names}) if meant else tree
            for tree in trees
        ]

    def _tell_generated(self, table: Table) -> None:
        generated = [column.name for column in table.columns if not column.stored]
        if generated:
            names = f"column{'s' if len(generated) > 1 else ''} {', '.join(generated)}"
            message = f"{names} of table {table.name} left out: generated, and Spark does not compute it"
            warnings.warn(message, EpochWarning, stacklevel=4)


def _require_grouped(table: Table | None, shape: Shape, advice: Advice) -> None:
    """Raises UnsupportedType for rows that a MAP tells apart: Spark sorts the entries of maps that it groups by."""
    maps = [c for c in shape.key if any(part.name == "MAP" for part in parse_type(c.type).parts())]
    column = maps[0].name if maps else ""
    if table and maps:
        raise UnsupportedType(
            f"rows of table {table.name} differ by column {column}, whose maps Spark takes for equal in any order",
            advice,
            table=str(table.name),
            column=column,
            type=maps[0].type,
            part="MAP",
        )


def _plain(name: str) -> str:
    """The name of a temporary view. Only Spark itself, and not all that speaks its protocol, takes quotes off."""
    return name if re.fullmatch(r"\w+", name, re.ASCII) else quoted(name)


def _require_distinct(names: Mapping[ObjectName, str]) -> None:
    taken: dict[str, ObjectName] = {}
    for name, view in names.items():
        other = taken.setdefault(view.lower(), name)
        if other is not name:
            raise EpochTableError(
                f"{other} and {name} would both be the temporary view {view}",
                "read them by themselves, as DataFrames",
                table=str(name),
            )


def _ddl(record: type) -> str:
    """The columns of a dataclass in Spark's words."""
    return ", ".join(f"{c.name} {native_type(parse_type(c.type))}" for c in columns_of(record))
