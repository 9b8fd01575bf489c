"""How many statements a verb makes. Each costs up to a millisecond, which is all there is on a small database."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MakeRepo, Repo
from tests.support.counting import statements

TABLE = "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER, note VARCHAR); INSERT INTO orders SELECT i, i, 'x' FROM range(100) AS r(i)"


def _made(repo: Repo, sql: str) -> int:
    with statements() as made:
        repo(sql)
    return len(made)


def test_no_verb_makes_more_statements_than_it_needs(make_repo: MakeRepo) -> None:
    repo = make_repo(TABLE)
    most = {
        "FROM epoch_status()": 10,
        "FROM epoch_at('main', 'orders')": 4,
        "CALL epoch_branch('{}')": 19,
        "CALL epoch_tag('tag-{}')": 18,
    }
    for sql in most:
        repo(sql.format("dev"))
    assert {sql: _made(repo, sql.format("v1")) for sql in most} == most
    repo("CALL epoch_checkout('dev')")
    repo("UPDATE orders SET amount = 0 WHERE id = 1")
    commit = _made(repo, "CALL epoch_commit('theirs')")
    repo("CALL epoch_checkout('main')")
    repo("UPDATE orders SET note = 'y' WHERE id = 2")
    repo("CALL epoch_commit('ours')")
    merge = _made(repo, "CALL epoch_merge('dev')")
    assert commit <= 46
    assert merge <= 83


def test_fsck_and_push_make_as_many_for_a_long_history_as_for_a_short_one(make_repo: MakeRepo, tmp_path: Path) -> None:
    repo = make_repo(TABLE)
    made = {}
    for commits in (3, 12):
        for number in range(commits):
            repo(f"UPDATE orders SET amount = {1000 * commits + number} WHERE id = {number}")
            repo.commit()
        repo("CALL epoch_remote_add(?, ?)", f"r{commits}", str(tmp_path / f"store{commits}"))
        made[commits] = [_made(repo, "FROM epoch_fsck()"), _made(repo, f"CALL epoch_push('r{commits}')")]
    assert all(long <= short + 3 for short, long in zip(*made.values(), strict=True)), made


def test_a_name_is_looked_up_without_reading_the_others(make_repo: MakeRepo) -> None:
    repo = make_repo(TABLE)
    with statements() as made:
        repo("FROM epoch_log('main', max_count := 1)")
    assert [sql for sql in made if '"refs"' in sql or ".refs" in sql] == [
        'SELECT kind, name, commit_id FROM "shop"."epoch".refs WHERE name IN (?)'
    ]


def test_branches_without_an_upstream_are_listed_without_reading_the_history(make_repo: MakeRepo) -> None:
    repo = make_repo(TABLE)
    with statements() as made:
        repo("FROM epoch_branches()")
    assert made and not [sql for sql in made if "commits" in sql or "parents" in sql]
