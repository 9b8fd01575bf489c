"""What a process remembers is what the catalog holds, after every procedure, whoever ran it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import epoch_sql
from epoch_sql import render
from epoch_sql.call import Call, Memory
from epoch_sql.catalog.content import Files, Levels, Schemas, Trees, Versions
from epoch_sql.catalog.history import Commits
from epoch_sql.extension.index import ACTING, OWN_MACROS
from epoch_sql.extension.install import _sessions
from epoch_sql.extension.registration import inner
from epoch_sql.extension.surface import PROCEDURES
from epoch_sql.upkeep.compact import compact
from epoch_sql.upkeep.gc import collect
from tests.conftest import MakeRepo, Repo

pytestmark = pytest.mark.core

START = "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t SELECT i, i FROM range(100) r(i)"
NOT_REMEMBERED = {"epoch_remote_gc", "epoch_init", "epoch_clone"}
"""They make a catalog, of which nothing is remembered yet, or change none."""
STEPS: dict[str, tuple[str, ...]] = {
    "epoch_commit": ("UPDATE t SET v = -1 WHERE id = 1", "CALL epoch_commit('one')"),
    "epoch_branch": ("CALL epoch_branch('side')",),
    "epoch_branch_rename": ("CALL epoch_branch_rename('side', 'feature')",),
    "epoch_checkout": ("CALL epoch_checkout('feature')",),
    "epoch_stash": ("UPDATE t SET v = -2 WHERE id = 2", "CALL epoch_stash()"),
    "epoch_stash_pop": ("CALL epoch_stash_pop()", "CALL epoch_commit('two')"),
    "epoch_stash_drop": ("UPDATE t SET v = -9 WHERE id = 9", "CALL epoch_stash()", "CALL epoch_stash_drop()"),
    "epoch_merge": ("CALL epoch_checkout('main')", "CALL epoch_merge('feature')"),
    "epoch_revert": ("CALL epoch_revert('HEAD')",),
    "epoch_reset": ("CALL epoch_reset('HEAD~1', hard := true)",),
    "epoch_cherry_pick": (
        "CALL epoch_checkout('feature')",
        "UPDATE t SET v = -3 WHERE id = 3",
        "CALL epoch_commit('three')",
        "CALL epoch_checkout('main')",
        "CALL epoch_cherry_pick('feature')",
    ),
    "epoch_merge_abort": (
        "UPDATE t SET v = 310 WHERE id = 31",
        "CALL epoch_commit('ours')",
        "CALL epoch_checkout('feature')",
        "UPDATE t SET v = 320 WHERE id = 31",
        "CALL epoch_commit('theirs')",
        "CALL epoch_checkout('main')",
        "!CALL epoch_merge('feature')",
        "CALL epoch_merge_abort()",
    ),
    "epoch_resolve": ("!CALL epoch_merge('feature')", "CALL epoch_resolve(side := 'theirs')"),
    "epoch_merge_continue": ("CALL epoch_merge_continue()",),
    "epoch_tag": ("CALL epoch_tag('v1')",),
    "epoch_tag_delete": ("CALL epoch_tag_delete('v1')",),
    "epoch_key": ("CREATE TABLE bag (a INTEGER)", "CALL epoch_key('bag', ['a'])", "CALL epoch_commit('bag')"),
    "epoch_ignore": ("CALL epoch_ignore('scratch*')",),
    "epoch_derived": (
        "CREATE TABLE mart AS SELECT sum(v) AS v FROM t",
        "CALL epoch_derived('mart*')",
        "CALL epoch_commit('mart')",
        "CALL epoch_branch('other')",
        "UPDATE t SET v = -4 WHERE id = 4",
        "CALL epoch_commit('here')",
        "CALL epoch_checkout('other')",
        "UPDATE t SET v = -5 WHERE id = 5",
        "CALL epoch_commit('there')",
        "CALL epoch_checkout('main')",
        "CALL epoch_merge('other')",
    ),
    "epoch_rebuilt": ("CALL epoch_rebuilt('mart')", "CALL epoch_commit('fresh')"),
    "epoch_protect": ("CALL epoch_protect('feature', require_review := true)",),
    "epoch_review": ("CALL epoch_review('main', 'feature', reviewer := 'Grace <grace@example.com>')",),
    "epoch_unprotect": ("CALL epoch_unprotect('feature')",),
    "epoch_check_add": ("CALL epoch_check_add('c', 'SELECT 1 WHERE false')",),
    "epoch_check_remove": ("CALL epoch_check_remove('c')",),
    "epoch_remote_add": ("CALL epoch_remote_add('origin', '{remote}')",),
    "epoch_push": ("CALL epoch_push()",),
    "epoch_fetch": ("@", "CALL epoch_fetch()"),
    "epoch_pull": ("@", "CALL epoch_pull()"),
    "epoch_remote_trust": ("CALL epoch_remote_trust('origin')",),
    "epoch_compact": ("UPDATE t SET v = -7 WHERE id = 7", "CALL epoch_commit('seven')", "CALL epoch_compact()"),
    "epoch_export": ("CALL epoch_export('HEAD', '{remote}.csv', tables := ['t'])",),
    "epoch_export_iceberg": ("CALL epoch_export_iceberg(['main'], '{remote}.lake')",),
    "epoch_import_files": ("CALL epoch_import_files(['{remote}.csv'], 'loaded')",),
    "epoch_publish": ("CALL epoch_publish(refs := ['main'])",),
    "epoch_worktree_add": ("CALL epoch_worktree_add('{remote}.beside')",),
    "epoch_worktree_remove": ("CALL epoch_worktree_remove('{remote}.beside')",),
    "epoch_branch_delete": ("CALL epoch_branch_delete('feature', force := true)",),
    "epoch_remote_remove": ("CALL epoch_remote_remove('origin')",),
    "epoch_gc": ("CALL epoch_reset('HEAD~2', hard := true)", "CALL epoch_gc(grace := INTERVAL 0 SECOND)"),
}
"""A way to run each procedure that acts; ``!`` is refused, ``@`` is another clone that pushes."""


def memory(repo: Repo) -> Memory:
    return _sessions[str(repo.path.resolve())].memory


@contextmanager
def beside(repo: Repo, own: Memory) -> Iterator[Call]:
    """The repository as another process sees it, which remembers by itself."""
    with repo.con.cursor() as cursor:
        token = render.DATABASE.set(cursor.execute("SELECT current_database()").fetchall()[0][0])
        try:
            yield Call(cursor, own)
        finally:
            render.DATABASE.reset(token)


def warm(repo: Repo) -> None:
    """Read everything, so that there is something to remember."""
    repo("FROM epoch_status(); FROM epoch_log(); FROM epoch_history('t'); FROM epoch_branches()")
    for commit_id, *_ in repo("FROM epoch_log(max_count := 6)"):
        repo("FROM epoch_diff_stat(?, 'HEAD')", commit_id)
        repo("SELECT count(*) FROM epoch_at(?, 't')", commit_id)


def assert_remembers_what_is_there(repo: Repo, after: str) -> None:
    repo("FROM epoch_branches()")
    cached, graph = memory(repo).rows, memory(repo).graph
    with beside(repo, Memory(OWN_MACROS)) as fresh:
        cursor = fresh.cursor
        assert cached.commits == Commits(cursor).load(cached.commits), after
        assert cached.trees == {i: Trees(cursor).load(i) for i in cached.trees}, after
        assert cached.versions == Versions(cursor).load(cached.versions), after
        assert cached.levels == Levels(cursor).load(cached.levels), after
        assert cached.tables == Schemas(cursor).load(cached.tables), after
        assert cached.files == Files(cursor).load(cached.files), after
        count = Levels(cursor).count()
        for (levels, table_id), edges in cached.edges.items():
            if levels == count:
                assert set(edges) == set(Levels(cursor).edges(table_id)), after
        assert all(commit_id in fresh.graph() for commit_id in graph._nodes), after


def push_from_a_clone(remote: Path, clone: Path) -> None:
    if not clone.exists():
        with epoch_sql.connect(clone) as con:
            con.execute("CALL epoch_clone(?)", [str(remote)])
    with epoch_sql.connect(clone) as con:
        con.execute("CALL epoch_pull()")
        con.execute(
            "INSERT INTO t SELECT max(id) + 1, 0 FROM t; CALL epoch_commit('from the clone'); CALL epoch_push()"
        )


def test_every_procedure_is_walked() -> None:
    assert STEPS.keys() | NOT_REMEMBERED == set(ACTING)
    assert all(any(f"CALL {name}(" in step for step in steps) for name, steps in STEPS.items())


@pytest.mark.slow
def test_after_every_procedure(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(START)
    remote = tmp_path / "remote"
    for name, steps in STEPS.items():
        warm(repo)
        for step in steps:
            if step == "@":
                push_from_a_clone(remote, tmp_path / "clone.duckdb")
            elif step.startswith("!"):
                repo.refused(step[1:])
            else:
                repo(step.format(remote=remote))
            assert_remembers_what_is_there(repo, f"{name}: {step}")
    for name in PROCEDURES.keys() - ACTING:
        if not any(p.default is None for p in PROCEDURES[name].parameters):
            repo(f"FROM {name}()")
            assert_remembers_what_is_there(repo, name)


def changed_often(make_repo: MakeRepo) -> Repo:
    repo = make_repo(START)
    for number in range(3):
        repo("UPDATE t SET v = v + 1000 WHERE id = ?", number)
        repo.commit(str(number))
    warm(repo)
    return repo


def levels_read(repo: Repo) -> int:
    """How many files the state of HEAD is read from."""
    ((plan,),) = repo(f"SELECT \"{inner('epoch_at')}\"('HEAD', 't', '')")
    return str(plan).count(".parquet")


def test_after_compaction_the_new_levels_are_read(make_repo: MakeRepo) -> None:
    repo = changed_often(make_repo)
    assert levels_read(repo) > 1
    repo("CALL epoch_compact()")
    assert levels_read(repo) == 1
    assert_remembers_what_is_there(repo, "compact")


def test_after_another_connection_or_process_compacted(make_repo: MakeRepo) -> None:
    repo = changed_often(make_repo)
    other = epoch_sql.connect(repo.path)
    thread = threading.Thread(target=lambda: other.execute("CALL epoch_compact()"))
    thread.start()
    thread.join()
    other.close()
    assert levels_read(repo) == 1
    repo("UPDATE t SET v = 0 WHERE id = 50")
    repo.commit()
    warm(repo)
    assert levels_read(repo) > 1
    with beside(repo, Memory(OWN_MACROS)) as elsewhere:
        compact(elsewhere)
    assert levels_read(repo) == 1
    assert_remembers_what_is_there(repo, "compact elsewhere")
    repo("CALL epoch_reset('HEAD~1', hard := true)")
    warm(repo)
    with beside(repo, Memory(OWN_MACROS)) as elsewhere:
        collect(elsewhere, grace="0 seconds")
    assert_remembers_what_is_there(repo, "gc elsewhere")


def test_another_database_at_the_same_path(make_repo: MakeRepo) -> None:
    repo = changed_often(make_repo)
    repo.close()
    repo.path.unlink()
    shutil.rmtree(repo.path.parent / ".epoch")
    repo.con = epoch_sql.connect(repo.path)
    repo(START)
    repo("CALL epoch_init()")
    assert_remembers_what_is_there(repo, "made anew")
