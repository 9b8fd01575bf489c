"""Threads of one process: of two writers one wins and the other is told to retry; no row is lost between them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import duckdb
import pytest

import epoch_sql
from epoch_sql.call import Call
from epoch_sql.model.graph import CommitGraph
from tests.conftest import MakeRepo, Repo

ROUNDS = 20


def together(*pieces: Callable[[], None]) -> None:
    """Run pieces of work at the same time; what one of them raises is raised."""
    barrier = threading.Barrier(len(pieces))

    def work(piece: Callable[[], None]) -> None:
        barrier.wait()
        piece()

    with ThreadPoolExecutor(len(pieces)) as pool:
        for done in [pool.submit(work, piece) for piece in pieces]:
            done.result()


def tried(con: duckdb.DuckDBPyConnection, call: str) -> bool:
    """Whether a call went through; if not, its error has to say that it can be tried again."""
    try:
        con.execute(call).fetchall()
    except duckdb.Error as error:
        told = str(error).splitlines()[0]
        assert "EpochTransactionError: " in told or "EpochNothingToCommit: " in told, told
        assert "retry" in told or "EpochNothingToCommit" in told, told
        return False
    return True


@pytest.mark.slow
def test_two_threads_commit_at_once(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY, who VARCHAR)")
    connections = [repo.con.cursor(), epoch_sql.connect(repo.path)]
    won = [0, 0]

    def commit(who: int) -> Callable[[], None]:
        def work() -> None:
            won[who] += tried(connections[who], f"CALL epoch_commit('round {round_} by {who}')")

        return work

    for round_ in range(ROUNDS):
        repo(f"INSERT INTO t VALUES ({round_}, 'before')")
        together(commit(0), commit(1))
    tried(repo.con, "CALL epoch_commit('the rest')")
    connections[1].close()
    assert sum(won) > 0
    assert repo.status() == []
    assert repo("SELECT count(*) FROM epoch_at('HEAD', 't')") == [(ROUNDS,)]
    assert repo("CALL epoch_fsck()") == []
    assert len(repo("FROM epoch_log()")) == len(repo("FROM epoch.commits"))


def test_two_threads_move_references_at_once(repo: Repo) -> None:
    connections = [repo.con.cursor(), repo.con.cursor()]
    made: list[str] = []

    def create(who: int) -> Callable[[], None]:
        def work() -> None:
            for n in range(ROUNDS // 2):
                name = f"by-{who}-{n}"
                if tried(connections[who], f"CALL epoch_branch('{name}')"):
                    made.append(name)

        return work

    together(create(0), create(1))
    assert sorted(made) == [row[0] for row in repo("SELECT name FROM epoch_branches() WHERE name <> 'main' ORDER BY 1")]
    assert made


def test_rows_inserted_while_another_thread_commits(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t (i INTEGER PRIMARY KEY); CREATE TABLE bag (i INTEGER)")
    inserting, committing = repo.con.cursor(), repo.con.cursor()
    ended = threading.Event()

    def insert() -> None:
        for n in range(300):
            inserting.execute("BEGIN")
            inserting.execute(f"INSERT INTO t VALUES ({n})")
            inserting.execute(f"INSERT INTO bag VALUES ({n // 2})")
            inserting.execute("COMMIT")
        ended.set()

    def commit() -> None:
        while not ended.is_set():
            tried(committing, "CALL epoch_commit('as it comes')")

    together(insert, commit)
    tried(repo.con, "CALL epoch_commit('the rest')")
    assert repo.status() == []
    assert repo("SELECT count(*), max(i) FROM epoch_at('HEAD', 't')") == [(300, 299)]
    for (commit_id,) in repo("SELECT commit_id FROM epoch_log()"):
        ((keyed, bagged),) = repo(
            "SELECT (SELECT count(*) FROM epoch_at(?, 't')), (SELECT count(*) FROM epoch_at(?, 'bag'))",
            commit_id,
            commit_id,
        )
        assert keyed == bagged
    assert repo("CALL epoch_fsck()") == []


@pytest.mark.slow
def test_reading_while_another_thread_commits_and_collects(make_repo: MakeRepo) -> None:
    repo = make_repo("CREATE TABLE t AS SELECT i, 0 AS v FROM range(1000) AS r(i)")
    first = repo.head()
    reading, writing = repo.con.cursor(), repo.con.cursor()
    ended = threading.Event()

    def write() -> None:
        for n in range(6):
            writing.execute(f"UPDATE t SET v = {n + 1} WHERE i % 10 = {n}")
            collect = "CALL epoch_gc(grace := INTERVAL 0 SECOND)"
            for call in (f"CALL epoch_commit('{n}')", "CALL epoch_compact()", collect):
                tried(writing, call)
        ended.set()

    def read() -> None:
        while not ended.is_set():
            assert reading.execute("SELECT count(*), sum(v) FROM epoch_at(?, 't')", [first]).fetchall() == [(1000, 0)]
            ((rows,),) = reading.execute("SELECT count(*) FROM epoch_diff(?, 'HEAD')", [first]).fetchall()
            assert rows % 100 == 0

    together(write, read)
    tried(repo.con, "CALL epoch_commit('the rest')")
    assert repo("CALL epoch_fsck()") == []


@pytest.mark.parametrize(
    "reading",
    ["epoch_log()", "epoch_branches()", "epoch_merge_base('main', 'HEAD')", "epoch_changelog('main')"],
)
def test_a_branch_moves_while_its_history_is_read(repo: Repo, monkeypatch: pytest.MonkeyPatch, reading: str) -> None:
    """What is read of the graph has the commit that the branch is at, however the two are read."""
    other, reads = repo.con.cursor(), Call.graph
    repo(f"CALL epoch_remote_add('origin', '{repo.path.parent}/remote')")
    repo("CALL epoch_push()")

    def moved_since(call: Call) -> CommitGraph:
        monkeypatch.undo()
        graph = reads(call)
        other.execute("CALL epoch_commit('meanwhile', allow_empty := true)").fetchall()
        return graph

    monkeypatch.setattr(Call, "graph", moved_since)
    assert repo(f"FROM {reading}")
