"""What production undid and both other environments kept: it is no news when these two are merged.

    production    A-------M---R---P          M: promotion of a, R: its revert, P: merge of the hotfix h
                   \\     /     \\ /
    hotfix          \\   /       h
                     \\ /       / \\
    staging           S-------/---T---X      X: merge of D2
                     /       /       /
    development     a-------D1---D2-/        D1, T: merges of the hotfix, D2: a changed further

The best common ancestor of D2 and T is h, where a is undone.
"""

from __future__ import annotations

import pytest

from tests.conftest import MakeRepo


@pytest.mark.slow
def test_a_hotfix_after_an_undone_promotion(make_repo: MakeRepo) -> None:
    repo = make_repo(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount INTEGER); INSERT INTO orders VALUES (1, 10), (2, 20)"
    )

    def commit_on(branch: str, sql: str) -> None:
        repo("CALL epoch_checkout(?)", branch)
        repo(sql)
        repo.commit()

    for branch in ("production", "staging", "development"):
        repo("CALL epoch_branch(?)", branch)
    commit_on("development", "CREATE TABLE report AS SELECT 30 AS total; UPDATE orders SET amount = 11 WHERE id = 1")
    repo("CALL epoch_merge('development', target := 'staging')")
    repo("CALL epoch_merge('staging', target := 'production')")
    repo("CALL epoch_checkout('production')")
    repo("CALL epoch_revert('HEAD')")
    repo("CALL epoch_branch('hotfix')")
    commit_on("hotfix", "UPDATE orders SET amount = 21 WHERE id = 2; CREATE TABLE fixes AS SELECT 1 AS fix")
    for branch in ("production", "staging", "development"):
        repo("CALL epoch_merge('hotfix', target := ?)", branch)
    commit_on(
        "development",
        "UPDATE report SET total = 99; UPDATE orders SET amount = amount + 1; INSERT INTO fixes VALUES (2)",
    )
    repo("CALL epoch_merge('development', target := 'staging')")
    repo("CALL epoch_merge('staging', target := 'production')")
    for branch in ("staging", "production"):
        assert repo.at(branch, "orders") == [(1, 12), (2, 22)]
        assert repo.at(branch, "report") == [(99,)]
        assert repo.at(branch, "fixes") == [(1,), (2,)]
