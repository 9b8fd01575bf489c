"""The content of a commit: patterns of derived tables, and which of them are stale."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from epoch_sql.catalog.content import Trees, tree_of_rows
from epoch_sql.model.commit import TableEntry, Tree, merged_patterns, tree_identity
from epoch_sql.model.schema import ObjectName, SchemaObject
from epoch_sql.model.table_rules import broken_tree_row

ORDERS, TOTAL = "0" * 15 + "a", "0" * 15 + "b"
TREE = Tree(
    {
        ORDERS: TableEntry(ORDERS, ObjectName("main", "orders"), "1" * 64),
        TOTAL: TableEntry(TOTAL, ObjectName("main", "total"), "2" * 64, stale=True),
    },
    (SchemaObject("view", ObjectName("main", "v"), "CREATE VIEW v AS SELECT 1"),),
    ("mart_*", "total"),
)


def rows(tree: Tree) -> list[tuple[Any, ...]]:
    return [row for group in Trees._subtrees(tree).values() for row in group]


def test_a_tree_is_made_of_rows_and_back() -> None:
    assert tree_of_rows(sorted(rows(TREE), key=lambda row: row[1])) == TREE
    assert [broken_tree_row(row) for row in rows(TREE)] == [None] * 5
    assert len({row[1] for row in rows(TREE)}) == 5, "each has an identity of its own"


def test_patterns_and_what_is_stale_are_in_the_id() -> None:
    def identity(stale: bool, *patterns: str) -> str:
        entry = TableEntry(TOTAL, ObjectName("main", "total"), "2" * 64, stale)
        return tree_identity([(entry, "digest", "rows")], Tree({TOTAL: entry}, (), patterns))

    assert len({identity(False), identity(True), identity(False, "a"), identity(False, "b"), identity(True, "a")}) == 5
    assert identity(True, "a", "b") == identity(True, "b", "a")


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (("derived", "00000000", "main", "a*", None, None, None, None, None), "no more than its text"),
        (("derived", "00000000", "", "a*", None, "SELECT 1", None, None, None), "no more than its text"),
        (("derived", "00000000", "", "a*", None, None, None, "stale", None), "no more than its text"),
        (("derived", "x", "", "a*", None, None, None, None, None), "its place, in 8 digits"),
        (("derived", "00000000", "", "", None, None, None, None, None), "on one line"),
        (("derived", "00000000", "", "a\x1b[2J", None, None, None, None, None), "on one line"),
        (("table", TOTAL, "main", "t", "2" * 64, None, None, "fresh", None), "stale, or none"),
        (("table", TOTAL, "main", "t", "2" * 64, None, "comment", "stale", None), "neither definition nor comment"),
        (("table", "x", "main", "t", "2" * 64, None, None, None, None), "16 hex digits"),
        (("table", TOTAL, "main", "t", "x", None, None, None, None), "an id"),
        (("view", "00000000", "main", "v", None, "CREATE VIEW v AS SELECT 1", None, "stale", None), "of a sequence"),
    ],
)
def test_a_row_from_elsewhere_is_what_it_says(row: tuple[Any, ...], problem: str) -> None:
    assert problem in str(broken_tree_row(row))


def test_patterns_are_merged_as_a_set() -> None:
    """What a side added comes, what a side removed goes."""
    for base, ours, theirs in product((False, True), repeat=3):
        sides = (("p",) if there else () for there in (base, ours, theirs))
        wanted = ours if ours == theirs or theirs == base else theirs
        assert bool(merged_patterns(*sides)) == wanted, (base, ours, theirs)
