"""Environments with one table whose keys are letters: what tests of undone promotions and of rollbacks play on.

In the pictures p is production, s staging, d development, h a hotfix, f a feature; time runs to the right.
M are promotions into p, S promotions into s, D merges into d, U an undo, V the undo of an undo. A letter is a commit
that adds that row.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.conftest import MakeRepo, Repo, Row

NAMES = {"p": "production", "s": "staging", "d": "development", "h": "hotfix", "f": "feature"}


class Environments:
    """Branches of one table whose keys are letters."""

    def __init__(self, repo: Repo) -> None:
        self.repo = repo

    def branch(self, name: str, start: str) -> None:
        self.repo("CALL epoch_branch(?, start := ?)", NAMES[name], NAMES.get(start, start))

    def on(self, branch: str) -> None:
        self.repo("CALL epoch_checkout(?)", NAMES[branch])

    def add(self, branch: str, letters: str) -> None:
        """One commit for each letter, on a branch."""
        self.on(branch)
        for letter in letters:
            self.repo("INSERT INTO letters VALUES (?, ?)", letter, f"from {branch}")
            self.repo.commit(f"Add {letter}")

    def merge(self, source: str, target: str, keep_undone: bool = False) -> str:
        """What the merge said beyond its subject, or its status when it made no commit."""
        status, commit_id = self.repo(
            "SELECT status, commit_id FROM epoch_merge(?, target := ?, keep_undone := ?)",
            NAMES.get(source, source),
            NAMES[target],
            keep_undone,
        )[0]
        if status != "merged":
            return str(status)
        message = str(self.repo.one("SELECT message FROM epoch_log(?, max_count := 1)", commit_id))
        subject, _, note = message.partition("\n\n")
        assert subject == f"Merge {NAMES.get(source, source)} into {NAMES[target]}"
        return note

    def promote(self, path: str) -> str:
        """Merge each branch into the next; what the last merge said."""
        return [self.merge(source, target) for source, target in pairwise(path)][-1]

    def revert(self, branch: str, ref: str = "HEAD") -> str:
        """The short id of the commit that reverts."""
        self.on(branch)
        return str(self.repo.one("SELECT commit_id[:7] FROM epoch_revert(?)", ref))

    def tip(self, branch: str) -> str:
        return str(self.repo.one("SELECT commit_id FROM epoch_log(?, max_count := 1)", NAMES[branch]))

    def tag(self, name: str, branch: str) -> None:
        self.repo("CALL epoch_tag(?, ref := ?)", name, NAMES[branch])

    def roll_back(self, ref: str) -> Row:
        """A forward rollback of production."""
        self.on("p")
        return rolled_back(self.repo, ref)

    def __getitem__(self, branch: str) -> str:
        return "".join(row[0] for row in self.repo.at(NAMES[branch], "letters"))

    def expect(self, **letters: str) -> None:
        """The letters of each branch; and the working tables are those of the checked-out one."""
        assert {branch: self[branch] for branch in letters} == letters
        assert self.repo("FROM letters ORDER BY ALL") == self.repo.at("HEAD", "letters")
        assert self.repo.status() == []

    def log(self, branch: str) -> list[str]:
        """The promotion log: subjects on the first-parent line, newest first."""
        messages = self.repo("SELECT message FROM epoch_log(?, first_parent := true)", NAMES[branch])
        return [message.splitlines()[0] for (message,) in messages]


def rolled_back(repo: Repo, ref: str) -> Row:
    """What a hard reset of production tells where it only grows: (commit_id, rows added, modified, removed)."""
    repo("CALL epoch_protect('production', no_force_push := true)")
    [moved] = repo("FROM epoch_reset(?, hard := true)", ref)
    repo("CALL epoch_unprotect('production')")
    return moved


def begun(begin: Callable[[Environments], object]) -> Any:
    """Makes a fixture of what a function does in new environments: it is done once, and each test gets a copy."""

    def in_environments(repo: Repo) -> None:
        repo("CALL epoch_init('production')")
        env = Environments(repo)
        for branch in "sd":
            env.branch(branch, "p")
        begin(env)

    def copied(make_repo: MakeRepo) -> Environments:
        table = "CREATE TABLE letters (letter VARCHAR PRIMARY KEY, note VARCHAR)"
        return Environments(make_repo(table, init=False, begin=in_environments))

    return pytest.fixture(name=begin.__name__)(copied)
