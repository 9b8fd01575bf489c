"""Random work in several clones of one remote: whatever happened, the same commits are the same rows everywhere."""

from __future__ import annotations

import random

import duckdb
import pytest

from tests.conftest import MakeRepo, Repo
from tests.remote.conftest import SHOP, Clone, everything, history, sound

STEPS = 30
BRANCHES = ("main", "staging")


class Colleague:
    """Somebody with a clone, who does things at random."""

    def __init__(self, repo: Repo, chance: random.Random, who: int) -> None:
        self.repo, self.chance, self.who, self.count = repo, chance, who, 0

    def act(self) -> None:
        getattr(self, self.chance.choice(("change", "change", "define", "share", "share", "merge", "undo", "tidy")))()

    def change(self) -> None:
        self.count += 1
        row = self.chance.randrange(100)
        statement = self.chance.choice(
            (
                f"UPDATE orders SET note = 'by {self.who}/{self.count}' WHERE id = {row}",
                f"UPDATE orders SET amount = amount + 1 WHERE id % 7 = {row % 7}",
                f"DELETE FROM orders WHERE id = {row}",
                f"INSERT INTO orders (id, note) VALUES ({1000 * (self.who + 1) + self.count}, 'new')",
                f"INSERT INTO log VALUES ({row}), ({row})",
                f"DELETE FROM log WHERE n = {row}",
            )
        )
        self.repo(statement)
        self.commit()

    def define(self) -> None:
        self.count += 1
        name = f"c{self.who}_{self.count}"
        self.repo(
            self.chance.choice(
                (
                    f"ALTER TABLE orders ADD COLUMN {name} INTEGER DEFAULT {self.count}",
                    f"CREATE TABLE t{name} AS SELECT i, i * 2 AS v FROM range(20) AS r(i)",
                    f"CREATE OR REPLACE VIEW v{self.who} AS SELECT count(*) AS n FROM orders",
                )
            )
        )
        self.commit()

    def commit(self) -> None:
        if self.repo.status():
            self.repo("CALL epoch_commit(?)", f"{self.who}/{self.count}")

    def share(self) -> None:
        self.settled("CALL epoch_pull()")
        self.repo("CALL epoch_push()")

    def merge(self) -> None:
        current = self.repo.one("SELECT branch FROM epoch_head()")
        (other,) = (branch for branch in BRANCHES if branch != current)
        self.settled(f"CALL epoch_merge('{other}')")
        if self.chance.random() < 0.5:
            self.share()
            self.repo("CALL epoch_checkout(?)", other)

    def undo(self) -> None:
        if len(self.repo("SELECT parents[1] FROM epoch_log(max_count := 1) WHERE len(parents) > 0")):
            self.settled("CALL epoch_revert('HEAD')")

    def tidy(self) -> None:
        self.repo(self.chance.choice(("CALL epoch_compact()", "CALL epoch_gc(grace := INTERVAL 0 SECOND)")))

    def settled(self, call: str) -> None:
        """A merge of some kind, in favour of this side where it conflicts; given up where that does not do."""
        try:
            self.repo(call)
        except duckdb.Error as error:
            if "EpochConflict" not in str(error):
                raise
            self.repo("CALL epoch_resolve(side := 'ours')")
            try:
                self.repo("CALL epoch_merge_continue()")
            except duckdb.Error as still:
                assert "EpochConflict" in str(still)
                self.repo("CALL epoch_merge_abort()")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_clones_agree(
    make_repo: MakeRepo, clone: Clone, s3: str, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    url = s3 if seed == 0 else str(tmp_path_factory.mktemp("shared") / "store")
    chance = random.Random(seed)
    first = make_repo(SHOP)
    first("CALL epoch_branch('staging'); CALL epoch_remote_add('origin', ?)", url)
    first("CALL epoch_push(); CALL epoch_push(branch := 'staging')")
    colleagues = [Colleague(repo, chance, who) for who, repo in enumerate([first, clone(url), clone(url)])]
    for _ in range(STEPS):
        colleague = chance.choice(colleagues)
        try:
            colleague.act()
        except duckdb.Error as error:
            # A pull that was given up, or a push without one.
            assert "fetch first" in str(error), str(error)
    for colleague in colleagues:
        for branch in BRANCHES:
            colleague.repo("CALL epoch_checkout(?)", branch)
            colleague.settled("CALL epoch_pull()")
            if colleague.repo.one("SELECT behind FROM epoch_branches() WHERE is_current") == 0:
                colleague.repo("CALL epoch_push()")
    fresh = clone(url)
    assert sound(fresh)
    known = {row[0]: row for row in history(fresh, "main") + history(fresh, "staging")}
    for colleague in colleagues:
        colleague.repo("CALL epoch_fetch()")
        assert sound(colleague.repo)
        for branch in BRANCHES:
            there = history(colleague.repo, f"origin/{branch}")
            assert there == history(fresh, branch)
            assert everything(colleague.repo, f"origin/{branch}") == everything(fresh, branch)
        for commit_id in chance.sample(sorted(known), min(6, len(known))):
            assert everything(colleague.repo, commit_id) == everything(fresh, commit_id)
            changes = f"SELECT * FROM epoch_diff_stat('{commit_id}', 'origin/main') ORDER BY ALL"
            assert colleague.repo(changes) == fresh(changes)
    assert len(known) > 15
