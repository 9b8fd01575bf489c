"""Indexes that are alike but for their name are one index: dbt gives them a random name at each build."""

from __future__ import annotations

import pytest

from tests.conftest import Repo, begun

pytestmark = pytest.mark.core

ROWS = "SELECT i AS id, i * 2 AS a FROM range(100) r(i)"


def build(repo: Repo, name: str, rows: str = ROWS) -> None:
    """The table and its index as dbt makes them."""
    repo(f'CREATE OR REPLACE TABLE built AS {rows}; CREATE UNIQUE INDEX "{name}" ON built (id)')


def indexes(repo: Repo) -> list[str]:
    return [name for (name,) in repo("SELECT index_name FROM duckdb_indexes() WHERE table_name = 'built' ORDER BY ALL")]


def schema_diff(repo: Repo, old: str, new: str) -> list[tuple[object, ...]]:
    return repo("SELECT object, name, diff_type FROM epoch_schema_diff(?, ?)", old, new)


@begun(f"CREATE TABLE built AS {ROWS}; CREATE UNIQUE INDEX one ON built (id)")
def built(repo: Repo) -> None:
    """A table with an index."""


def test_another_name_is_no_change(built: Repo) -> None:
    build(built, "two")
    assert built.status() == schema_diff(built, "HEAD", "WORKING") == []
    assert "nothing to commit" in built.refused("CALL epoch_commit('again')")
    # Beside other changes, it is none either.
    build(built, "three", f"{ROWS} WHERE i > 0")
    built("ALTER TABLE built ADD COLUMN b INTEGER")
    assert schema_diff(built, "HEAD", "WORKING") == [("column", "b", "added")]
    built.commit("less")
    assert schema_diff(built, "HEAD~1", "HEAD") == [("column", "b", "added")]
    assert (built.status(), indexes(built)) == ([], ["three"])
    # The working index goes and comes by the name that it has.
    for ref in ("HEAD~1", "main", "HEAD~1"):
        built("CALL epoch_checkout(?)", ref)
        assert len(indexes(built)) == 1 and built.status() == [], ref
    # A second one, another one, and one that is gone are changes.
    built("CALL epoch_checkout('main'); CREATE UNIQUE INDEX more ON built (id)")
    assert schema_diff(built, "HEAD", "WORKING") == [("index", "more", "added")]
    built("DROP INDEX more; CREATE INDEX other ON built (a)")
    assert schema_diff(built, "HEAD", "WORKING") == [("index", "other", "added")]
    built("DROP INDEX other")
    (name,) = indexes(built)
    built(f'DROP INDEX "{name}"')
    assert [row[0::2] for row in schema_diff(built, "HEAD", "WORKING")] == [("index", "removed")]


def test_two_branches_that_rebuilt_have_one_index(built: Repo) -> None:
    for branch, name, row in (("a", "x", 1000), ("b", "y", 2000)):
        built(f"CALL epoch_checkout('main'); CALL epoch_checkout('{branch}', new_branch := true)")
        build(built, name, f"{ROWS} UNION ALL SELECT {row}, {row}")
        built(f'CREATE INDEX "new {name}" ON built (a)')
        built.commit(branch)
    built("CALL epoch_merge('a')")
    # The one that both made is called as ours.
    assert len(indexes(built)) == 2 and indexes(built)[0] == "new y"
    assert built.status() == schema_diff(built, "a", "HEAD") == []
    built("CALL epoch_checkout('a'); CALL epoch_merge('b')")
    assert (built.status(), len(indexes(built))) == ([], 2)
    assert built("FROM epoch_fsck()") == []
