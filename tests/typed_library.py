"""What mypy sees of the library: concrete types. Nothing here runs; ``make lint`` checks it."""

from typing import assert_type

from duckdb import DuckDBPyRelation

import epoch_sql
from epoch_sql.history.listing import (
    Branch,
    CheckedOut,
    LogEntry,
    MergeBase,
)
from epoch_sql.model.commit import RowCounts
from epoch_sql.verbs.committing import CommitResult
from epoch_sql.verbs.merging import MergeResult
from epoch_sql.verbs.reverting import PickResult
from epoch_sql.verbs.worktree_state import Uncommitted

with epoch_sql.open("shop.duckdb", read_only=True, author="Ada <ada@example.com>") as repo:
    assert_type(repo, epoch_sql.Repository)
    assert_type(repo.status(), list[Uncommitted])
    assert_type(repo.commit("message", allow_empty=True), CommitResult)
    assert_type(repo.merge("staging", into="production"), MergeResult)
    assert_type(repo.merge("staging").rows, RowCounts)
    assert_type(repo.revert("HEAD"), PickResult)
    assert_type(repo.log("main", max_count=1), list[LogEntry])
    assert_type(repo.branches(), list[Branch])
    assert_type(repo.head(), CheckedOut)
    assert_type(repo.merge_base("a", "b"), MergeBase | None)
    assert_type(repo.diff("a", "b", table="orders"), DuckDBPyRelation)
    assert_type(repo.at("main", "orders"), DuckDBPyRelation)
    assert_type(repo.at("main"), epoch_sql.State)
    assert_type(repo.at("main")["orders"], DuckDBPyRelation)
    assert_type(repo.query("main", "FROM orders"), DuckDBPyRelation)
    repo.merge("staging", onto="production")  # type: ignore[call-arg]
    repo.merge("staging", strategy="mine")  # type: ignore[arg-type]
    repo.commit()  # type: ignore[call-arg]
