"""What a process remembers of a catalog: it forgets what a rollback took back, and nothing else."""

from __future__ import annotations

import pytest

from epoch_sql.catalog.relation import RowCache
from epoch_sql.model.commit import Tree
from tests.conftest import MakeRepo


def test_going_back_keeps_what_was_there_before() -> None:
    cache = RowCache(trees={"a": Tree()})
    mark = cache.mark()
    cache.trees["b"] = Tree()
    cache.back_to(mark)
    assert cache.trees.keys() == {"a"}


def test_going_back_after_all_was_forgotten() -> None:
    cache = RowCache(trees={"a": Tree()})
    mark = cache.mark()
    cache.forget()
    cache.trees["b"] = Tree()
    cache.back_to(mark)
    assert cache.trees == {}


def test_who_reads_meanwhile_is_not_disturbed() -> None:
    cache = RowCache(trees={"a": Tree()})
    mark = cache.mark()
    held = cache.trees
    held["b"] = Tree()
    cache.back_to(mark)
    assert held.keys() == {"a", "b"}


@pytest.mark.parametrize("refused", ["CALL epoch_commit('again')", "CALL epoch_commit('x'); CALL epoch_branch('main')"])
def test_a_commit_after_one_that_came_to_nothing(make_repo: MakeRepo, refused: str) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, v VARCHAR); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    for number in range(3):
        repo.refused(refused)
        repo("UPDATE t SET v = v || ? WHERE i = 1", str(number))
        repo.commit(str(number))
        assert repo.at("HEAD", "t") == repo("FROM t ORDER BY i")
    assert repo("FROM epoch_fsck()") == []
    repo("DELETE FROM t WHERE i = 2")
    repo.commit("gone")
    repo("CALL epoch_checkout('HEAD~1')")
    assert repo("SELECT i FROM t ORDER BY i") == [(1,), (2,)]
